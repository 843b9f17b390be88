"""Checks of a flow that all engines share; imported in Metaflow's own process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from devstack.deployers.flow_description import Decorator, FlowDescription
from devstack.deployers.unsupported import Violation

Instead = tuple[str, str]
"""Why a decorator is not supported, and what to use instead."""

OTHER_CLUSTERS: Mapping[str, Instead] = {
    "batch": ("it runs steps on AWS Batch", "use @kubernetes or @resources"),
    "slurm": ("it runs steps on Slurm", "use @kubernetes or @resources"),
}
"""Decorators that run a step elsewhere."""


def check_datastore(flow: FlowDescription) -> Iterator[Violation]:
    """Yield a violation if pods could not access the flow's datastore."""
    if flow.datastore == "local":
        yield Violation(
            f"flow {flow.name}",
            "the local datastore",
            "task pods cannot access this machine's disk",
            "omit --datastore: the stack's datastore is S3",
        )


def check_project(flow: FlowDescription, project: str) -> Iterator[Violation]:
    """Yield a violation if the flow's @project is another one; any is right if empty."""
    names = [each.attributes.get("name") for each in flow.decorators if each.name == "project"]
    if project and project not in names:
        yield Violation(
            f"flow {flow.name}",
            f"--project {project}",
            f"its @project is {names[0]!r}" if names else "it has no @project",
            f"write @project(name={project!r}) above the class: its pods read the flow too",
        )


def check_decorator(
    where: str, decorator: Decorator, unsupported: Mapping[str, Instead]
) -> Iterator[Violation]:
    """Yield a violation if a decorator is not supported.

    Args:
        where: the flow or the step that has it.
        decorator: the decorator.
        unsupported: why, and what to use instead, by the names of decorators.
    """
    if decorator.name in unsupported:
        yield Violation(where, f"@{decorator.name}", *unsupported[decorator.name])
