"""Runs and deployments of the pipelines API, as deployers know them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from devstack.kube.times import parse_time

FINAL = frozenset({"succeeded", "failed", "canceled", "skipped"})
METAFLOW_PREFIX = "kfp-"


@dataclass(frozen=True)
class PipelineRun:
    """A run of a pipeline.

    Attributes:
        template: the pipeline's name; empty if it was deleted, or never uploaded.
        run_id: its id.
        state: the API's state in lower case.
        kind: ``scheduled`` or ``manual``.
        began: start in seconds since the epoch.
        ended: end in seconds since the epoch; None before that.
        message: why it failed, as Argo says.
        parameters: the values that it was started with, as text.
    """

    template: str
    run_id: str
    state: str
    kind: str
    began: float | None
    ended: float | None
    message: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The pipeline."""
        return self.template

    @property
    def finished(self) -> bool:
        """True if its state is final."""
        return self.state in FINAL

    @property
    def metaflow_id(self) -> str:
        """Metaflow's id of the run."""
        return f"{METAFLOW_PREFIX}{self.run_id}"

    @property
    def seconds(self) -> float | None:
        """Duration in seconds; None until it has ended."""
        if self.began is None or self.ended is None:
            return None
        return self.ended - self.began


def parse_run(record: Mapping[str, Any], pipelines: Mapping[str, str]) -> PipelineRun:
    """Return a run.

    Args:
        record: as the API has it.
        pipelines: names of pipelines by id.
    """
    reference = record.get("pipeline_version_reference") or {}
    values = (record.get("runtime_config") or {}).get("parameters") or {}
    return PipelineRun(
        template=pipelines.get(reference.get("pipeline_id", ""), ""),
        run_id=record["run_id"],
        state=str(record.get("state", "PENDING")).lower(),
        kind="scheduled" if record.get("recurring_run_id") else "manual",
        began=_seconds(record.get("created_at")),
        ended=_seconds(record.get("finished_at")),
        message=(record.get("error") or {}).get("message", ""),
        parameters={name: _text(value) for name, value in values.items()},
    )


def flow_of(spec: Mapping[str, Any]) -> str:
    """Return the flow's class of a pipeline; empty if Metaflow has not made it.

    metaflow-kubeflow annotates the pods, of which it reads the first one itself.
    """
    platforms = spec.get("platform_spec", {}).get("platforms", {})
    executors = platforms.get("kubernetes", {}).get("deploymentSpec", {}).get("executors", {})
    for executor in executors.values():
        annotations = executor.get("podMetadata", {}).get("annotations", {})
        return str(annotations.get("metaflow/flow_name", ""))
    return ""


def parameter_kinds(spec: Mapping[str, Any]) -> dict[str, str]:
    """Return the types of a pipeline's parameters by name."""
    pipeline = spec.get("pipeline_spec", spec)
    inputs = pipeline.get("root", {}).get("inputDefinitions", {}).get("parameters", {})
    return {name: str(each.get("parameterType", "STRING")) for name, each in inputs.items()}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _seconds(text: str | None) -> float | None:
    return parse_time(text).timestamp() if text else None
