"""Go programs that only tests run."""

from pathlib import Path

from devstack.images.golang import Program

_FOLDER = Path(__file__).parent

KWOK = Program("kwok", "sigs.k8s.io/kwok/cmd/kwok", folder=_FOLDER / "kwok", batch="kwok")
COSCHEDULER = Program(
    "coscheduler",
    "devstack/tests/coscheduler",
    folder=_FOLDER / "coscheduler",
    batch="the scheduler with coscheduling",
)
