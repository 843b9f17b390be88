"""A compiled pipeline: the documents that kfp's compiler writes.

The first one is a message ``PipelineSpec`` of the IR, the second one, if any, is a message
``PlatformSpec`` (``api/v2alpha1/pipeline_spec.proto`` of kubeflow/pipelines).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kubeflow_pipelines.translation.unsupported import UnsupportedError, require_only

SCHEMA_VERSION = "2.1.0"

_SPEC_FIELDS = (
    "components",
    "deploymentSpec",
    "pipelineInfo",
    "root",
    "schemaVersion",
    "sdkVersion",
)

Message = Mapping[str, Any]
"""A message in the form of its JSON."""


@dataclass(frozen=True)
class Pipeline:
    """A compiled pipeline.

    Attributes:
        spec: the message ``PipelineSpec``.
        platform: the message ``PlatformSpec``; empty if the pipeline has none.
    """

    spec: Message
    platform: Message = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name that the pipeline's author gave it."""
        return str(self.spec["pipelineInfo"]["name"])

    @property
    def root(self) -> Message:
        """The outermost DAG with its inputs."""
        found: Message = self.spec["root"]
        return found

    def component(self, name: str) -> Message:
        """Return a component.

        Raises:
            UnsupportedError: the pipeline has none of this name.
        """
        found: Message | None = self.spec.get("components", {}).get(name)
        if found is None:
            raise UnsupportedError(f"component {name}", "the pipeline does not define it")
        return found

    def executor(self, label: str) -> Message:
        """Return an executor.

        Raises:
            UnsupportedError: the pipeline has none of this label.
        """
        executors = self.spec.get("deploymentSpec", {}).get("executors", {})
        found: Message | None = executors.get(label)
        if found is None:
            raise UnsupportedError(f"executor {label}", "the pipeline does not define it")
        return found

    def kubernetes(self, label: str) -> Message:
        """Return what the pipeline says of an executor's pod; empty if nothing."""
        platforms = self.platform.get("platforms", {})
        executors = platforms.get("kubernetes", {}).get("deploymentSpec", {}).get("executors", {})
        found: Message = executors.get(label, {})
        return found


def read_pipeline(documents: list[Any]) -> Pipeline:
    """Return the pipeline of the documents of a compiled file.

    Args:
        documents: one or two of them.

    Raises:
        UnsupportedError: they are no pipeline of a supported version.
    """
    if not 1 <= len(documents) <= 2 or not all(isinstance(each, dict) for each in documents):
        raise UnsupportedError("file", "it is not what kfp's compiler writes")
    spec, platform = documents[0], documents[1] if len(documents) > 1 else {}
    version = spec.get("schemaVersion")
    if version != SCHEMA_VERSION:
        raise UnsupportedError(
            "file",
            f"schemaVersion {version} is not supported",
            f"compile the pipeline with kfp 2, whose schemaVersion is {SCHEMA_VERSION}",
        )
    if "pipelineInfo" not in spec or "dag" not in spec.get("root", {}):
        raise UnsupportedError("file", "it has no pipelineInfo, or no root.dag")
    require_only("pipeline", spec, _SPEC_FIELDS)
    _check_platform(platform)
    return Pipeline(spec, platform)


def _check_platform(platform: Message) -> None:
    require_only("platform", platform, ("platforms",))
    require_only("platform", platform.get("platforms", {}), ("kubernetes",))
    kubernetes = platform.get("platforms", {}).get("kubernetes", {})
    require_only("platform kubernetes", kubernetes, ("deploymentSpec",))
    require_only("platform kubernetes", kubernetes.get("deploymentSpec", {}), ("executors",))
