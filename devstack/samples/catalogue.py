"""Which sample flows there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Sample:
    """One sample flow.

    Attributes:
        name: what the user types; also the name of its file and of its check.
        shows: what one learns from it, in a few words.
        slow: True where it takes long however fast the machine is; it starts first.
        rivals: True where it is run twice at once, for room that is enough for one.
        scheduled: True for a DAG that Airflow's scheduler starts by itself.
        fails_saying: what the report of its failure must contain; empty for a
            flow that should succeed.
    """

    name: str
    shows: str
    slow: bool = False
    rivals: bool = False
    scheduled: bool = False
    fails_saying: str = ""

    @property
    def file(self) -> Path:
        """The flow's file."""
        return FOLDER / f"{self.name}.py"


SAMPLES = (
    Sample("hello", "a step that runs in a pod"),
    Sample("foreach", "fan-out, join, @resources, @retry, @catch"),
    Sample("timeout", "@timeout strikes, @catch goes on", slow=True),
    Sample("parallel", "3 pods of a JobSet talk to each other"),
    Sample("ring", "8 pods of a JobSet know each other by name"),
    Sample("gang", "two flows, room for one: each starts whole", slow=True, rivals=True),
    Sample("datatools", "128 MiB to S3 and back"),
    Sample("report", "a @card"),
    Sample("settings", "@environment, a Kubernetes Secret"),
    Sample("storage", "a volume, tmpfs, /dev/shm"),
    Sample("failure", "a failure, and its report", fails_saying="out of fuel, on purpose"),
)
"""All samples, in the order in which one reads them."""


DAG_SAMPLES = (
    Sample("linear", "three tasks, a Parameter, @environment, a @card"),
    Sample("fanout", "foreach as dynamic task mapping, and its join"),
    Sample("flaky", "a retry that really fails first, and @catch"),
    Sample("branches", "two branches at once, and their join"),
    Sample("scheduled", "a run that the scheduler starts", slow=True, scheduled=True),
)
"""The samples for Airflow, in the order in which one reads them."""


def find_sample(name: str, known: Sequence[Sample] = SAMPLES) -> Sample | None:
    """Return the sample called ``name`` of those ``known``, or None."""
    return next((sample for sample in known if sample.name == name), None)
