"""Features of flows that Airflow does not support, and what to use instead.

Metaflow reports some of them in the middle of the compilation, without an
alternative, and ignores others silently. This check finds all of them first.
"""

from __future__ import annotations

from collections.abc import Iterator

from devstack.deployers.checks import (
    OTHER_CLUSTERS,
    check_datastore,
    check_decorator,
    check_project,
)
from devstack.deployers.flow_description import (
    Decorator,
    FlowDescription,
    ParameterDescription,
    StepDescription,
)
from devstack.deployers.typed_values import convert_value
from devstack.deployers.unsupported import Violation

_USE_RUN = "use `devstack run`, which runs it on the cluster without Airflow"

_IGNORED_ATTRIBUTES = {
    "tolerations": "select nodes with node_selector, or remove the taints",
    "image_pull_secrets": "add the secret to the service account of the task pods",
    "image_pull_policy": "use an image tag other than latest: it is then pulled once",
    "labels": "use tags: `devstack airflow deploy --tag NAME`",
    "annotations": "use tags: `devstack airflow deploy --tag NAME`",
    "extended_resources": "use gpu and gpu_vendor, or node_selector",
    "security_context": "set the user in the image",
    "shared_memory": "write to the datastore, or to the pod's disk",
    "port": "no other pod could connect to it: an Airflow task is one pod",
    "use_tmpfs": "write to the pod's disk, sized by the attribute disk",
    "tmpfs_size": "write to the pod's disk, sized by the attribute disk",
    "tmpfs_path": "write to the pod's disk, sized by the attribute disk",
    "persistent_volume_claims": "keep the data in the datastore, with `from metaflow import S3`",
}
"""Attributes of @kubernetes that Metaflow does not pass to the pod, and what to use instead."""

_STEP_DECORATORS = {
    **OTHER_CLUSTERS,
    "parallel": ("a DAG's task is one pod, not a gang", _USE_RUN),
}
_FLOW_DECORATORS = {
    "trigger": (
        "Airflow has no Metaflow events",
        "use @schedule, or @airflow_s3_key_sensor to wait for a file",
    ),
    "trigger_on_finish": (
        "Airflow has no Metaflow events",
        "use @airflow_external_task_sensor to wait for another DAG",
    ),
    "exit_hook": (
        "Metaflow's DAGs run nothing after the last task",
        "wait for the run: `devstack airflow trigger --wait`",
    ),
}


def find_violations(flow: FlowDescription, project: str = "") -> list[Violation]:
    """Return the unsupported features of a flow.

    Args:
        flow: the flow.
        project: the @project that it must have; any if empty.
    """
    return [
        *check_project(flow, project),
        *check_datastore(flow),
        *_check_parameters(flow),
        *_check_flow(flow),
        *(each for step in flow.steps.values() for each in _check_step(flow, step)),
    ]


def _check_parameters(flow: FlowDescription) -> Iterator[Violation]:
    names = set()
    for parameter in flow.parameters:
        where = f"parameter {parameter.name}"
        if parameter.name.lower() in names:
            reason = "Metaflow's parameters are case-insensitive"
            yield Violation(where, "a duplicate name", reason, "rename it")
        names.add(parameter.name.lower())
        if not parameter.has_default or parameter.default is None:
            yield Violation(
                where,
                "no default",
                "scheduled runs have no other value",
                f"add one: Parameter({parameter.name!r}, default=...)",
            )
        else:
            yield from _check_default(parameter, where)


def _check_default(parameter: ParameterDescription, where: str) -> Iterator[Violation]:
    if parameter.kind in ("dict", "list"):
        yield Violation(
            where,
            f"a default of type {parameter.kind}",
            "Metaflow cannot read it from the text that a run gets",
            "add type=JSONType",
        )
    elif parameter.kind != "file":
        try:
            convert_value(parameter.kind, parameter.default)
        except (TypeError, ValueError) as error:
            what = f"the default {parameter.default!r:.80}"
            yield Violation(where, what, str(error), f"use one of type {parameter.kind}")


def _check_flow(flow: FlowDescription) -> Iterator[Violation]:
    where = f"flow {flow.name}"
    for decorator in flow.decorators:
        yield from check_decorator(where, decorator, _FLOW_DECORATORS)
        if decorator.name == "schedule" and decorator.attributes.get("timezone"):
            yield Violation(
                where,
                "@schedule(timezone=...)",
                "Metaflow passes only the cron expression to Airflow, which evaluates it in UTC",
                "write the cron expression in UTC",
            )


def _check_step(flow: FlowDescription, step: StepDescription) -> Iterator[Violation]:
    where = f"step {step.name}"
    yield from _check_graph(flow, step, where)
    for decorator in step.decorators:
        # num_parallel adds @parallel; report it once.
        if not step.parallel:
            yield from check_decorator(where, decorator, _STEP_DECORATORS)
        if decorator.name == "kubernetes":
            yield from _check_kubernetes(decorator, where)


def _check_graph(flow: FlowDescription, step: StepDescription, where: str) -> Iterator[Violation]:
    if step.parallel:
        reason, instead = _STEP_DECORATORS["parallel"]
        yield Violation(where, "@parallel", reason, instead)
    if step.kind == "foreach" and step.inside_foreach:
        yield Violation(
            where,
            "a foreach inside a foreach",
            "Airflow maps a task over a list once, not over lists of lists",
            "fan out over one list of all pairs",
        )
    elif step.kind == "foreach" and not _is_single_step(flow, step):
        yield Violation(
            where,
            "a foreach with more than one step before its join",
            "Airflow maps one task, not a chain of tasks",
            "merge these steps into one",
        )
    if step.kind == "split-switch":
        yield Violation(
            where,
            "a switch",
            "Metaflow's DAGs for Airflow have no conditions",
            "use static branches, and do nothing in the branch that is not selected",
        )


def _is_single_step(flow: FlowDescription, step: StepDescription) -> bool:
    """Return True if the foreach consists of one step between split and join."""
    mapped = flow.steps[step.successors[0]]
    if mapped.kind == "foreach":
        return True  # reported as a foreach inside a foreach
    return all(flow.steps[name].kind == "join" for name in mapped.successors)


def _check_kubernetes(decorator: Decorator, where: str) -> Iterator[Violation]:
    for attribute, instead in _IGNORED_ATTRIBUTES.items():
        if decorator.attributes.get(attribute) not in (None, False, "", [], {}):
            yield Violation(
                where,
                f"@kubernetes({attribute}=...)",
                "Metaflow does not pass it to Airflow's pods",
                instead,
            )
