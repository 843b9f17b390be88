"""Go programs that only tests run."""

from pathlib import Path

from devstack.images.programs import Program

_FOLDER = Path(__file__).parent

KWOK = Program("kwok", "sigs.k8s.io/kwok/cmd/kwok", module=_FOLDER / "kwok", title="kwok")
COSCHEDULER = Program(
    "coscheduler",
    "devstack/tests/coscheduler",
    module=_FOLDER / "coscheduler",
    title="the scheduler with coscheduling",
)
