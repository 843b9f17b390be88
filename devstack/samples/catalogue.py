"""The sample flows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Sample:
    """One sample flow.

    Attributes:
        name: the name of the sample, its file and its check.
        shows: what it demonstrates, as a short phrase.
        slow: True if it takes long on any machine; it starts first.
        concurrent: True to run it twice at the same time, with capacity for one.
        scheduled: True for a DAG that Airflow's scheduler starts.
        backfilled: True for a DAG whose runs are those of a backfill of three days.
        needs_celery: True for a DAG whose tasks Celery workers must execute.
        needs_service: the service without which it does not run; empty if its engine suffices.
        started_by: the sample file, without ``.py``, of the flow whose end starts it; empty if it
            is started itself.
        expected_failure: text that the report of its failure must contain; empty if it
            should succeed.
        packages: Python packages that its steps install with uv, from the package index.
    """

    name: str
    shows: str
    slow: bool = False
    concurrent: bool = False
    scheduled: bool = False
    backfilled: bool = False
    needs_celery: bool = False
    needs_service: str = ""
    started_by: str = ""
    expected_failure: str = ""
    packages: tuple[str, ...] = ()

    @property
    def needs_index(self) -> bool:
        """True if it needs a package index, so that it runs only when it is named."""
        return bool(self.packages)

    @property
    def module(self) -> str:
        """The name of its file without ``.py``, and of its check."""
        return self.name.replace("-", "_")

    @property
    def file(self) -> Path:
        """The flow's file."""
        return FOLDER / f"{self.module}.py"

    @property
    def starting_file(self) -> Path | None:
        """The file of the flow whose end starts it; None if it is started itself."""
        return FOLDER / f"{self.started_by}.py" if self.started_by else None


SAMPLES = (
    Sample("hello", "a step that runs in a pod"),
    Sample("foreach", "fan-out, join, @resources, @retry, @catch"),
    Sample("timeout", "@timeout, and @catch after it", slow=True),
    Sample("parallel", "3 pods of a JobSet communicate"),
    Sample("ring", "8 pods of a JobSet, by host name"),
    Sample(
        "gang", "two gangs, capacity for one: each starts as a whole", slow=True, concurrent=True
    ),
    Sample("datatools", "128 MiB to S3 and back"),
    Sample("report", "a @card"),
    Sample("settings", "@environment, a Kubernetes Secret"),
    Sample("storage", "a volume, tmpfs, /dev/shm"),
    Sample("packages", "--environment=uv (runs only when named)", packages=("humanize",)),
    Sample("failure", "a failure, and its report", expected_failure="out of fuel, on purpose"),
)
"""All samples, in reading order."""


DAG_SAMPLES = (
    Sample("linear", "three tasks, a Parameter, @environment, a @card"),
    Sample("fanout", "foreach as dynamic task mapping, and its join"),
    Sample("flaky", "@retry after a real failure, and @catch"),
    Sample("branches", "two parallel branches, and their join"),
    Sample("scheduled", "a run started by the scheduler", slow=True, scheduled=True),
    Sample("backfill", "a schedule's runs of three past days", slow=True, backfilled=True),
    Sample("celery", "a foreach shared by Celery workers", needs_celery=True),
)
"""The samples for Airflow, in reading order."""


KUBEFLOW_SAMPLES = (
    Sample("kubeflow-linear", "three pods, Parameters of every type, a retry, a Secret"),
    Sample("kubeflow-fanout", "a foreach inside a foreach, and both joins"),
    Sample("kubeflow-scheduled", "a run that a recurring run starts", slow=True, scheduled=True),
)
"""The samples for Kubeflow Pipelines, in reading order."""

ARGO_SAMPLES = (
    Sample("argo-linear", "three pods, typed Parameters, a text passed on exactly"),
    Sample("argo-fanout", "a foreach inside a foreach, and both joins"),
    Sample("argo-branches", "a conditional, one branch of which leads back to it"),
    Sample("argo-gang", "a JobSet of 3 pods, started as a gang"),
    Sample(
        "argo-events",
        "a run started by the end of another flow",
        needs_service="argo-events",
        started_by="argo_events_source",
    ),
)
"""The samples for Argo Workflows, in reading order."""

ENGINE_SAMPLES: Mapping[str, Sequence[Sample]] = {
    "airflow": DAG_SAMPLES,
    "argo": ARGO_SAMPLES,
    "kubeflow": KUBEFLOW_SAMPLES,
}
"""The samples by the engine that they are deployed to."""

ALL_SAMPLES = (*SAMPLES, *(each for samples in ENGINE_SAMPLES.values() for each in samples))
"""The samples of all engines, and those for none."""


def find_sample(name: str, known: Sequence[Sample] = SAMPLES) -> Sample | None:
    """Return the sample called ``name`` of those ``known``, or None."""
    return next((sample for sample in known if sample.name == name), None)
