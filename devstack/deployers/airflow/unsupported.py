"""What Airflow cannot run, and what to use instead.

Metaflow refuses some of it half way through, with the reason alone, and drops
some of it without a word.  Here all of it is found before anything is written.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from devstack.deployers.airflow.description import Decoration, FlowDescription, StepDescription

_ON_THE_CLUSTER = "run it with `devstack run`, which starts it on the cluster without Airflow"

_DROPPED = {
    "tolerations": "choose nodes with node_selector, or let the nodes' taints be",
    "image_pull_secrets": "put the secret into the service account of the task pods",
    "image_pull_policy": "give the image a tag other than latest: it is then pulled once",
    "labels": "use tags: `devstack airflow deploy --tag NAME`",
    "annotations": "use tags: `devstack airflow deploy --tag NAME`",
    "extended_resources": "use gpu and gpu_vendor, or node_selector",
    "security_context": "set the user in the image",
    "shared_memory": "write to the datastore, or to the pod's disk",
    "port": "no other pod can ask for it: an Airflow task is one pod",
    "use_tmpfs": "write to the pod's disk, with the attribute disk",
    "tmpfs_size": "write to the pod's disk, with the attribute disk",
    "tmpfs_path": "write to the pod's disk, with the attribute disk",
    "persistent_volume_claims": "keep the data in the datastore, with `from metaflow import S3`",
}
"""Attributes of @kubernetes that do not reach the pod, and what to use instead."""

_STEP_DECORATORS = {
    "batch": ("it runs steps on AWS Batch", "use @kubernetes or @resources"),
    "slurm": ("it runs steps on Slurm", "use @kubernetes or @resources"),
    "parallel": ("a DAG's task is one pod, not a gang", _ON_THE_CLUSTER),
}
_FLOW_DECORATORS = {
    "trigger": (
        "Airflow has no events of Metaflow's",
        "use @schedule, or @airflow_s3_key_sensor to wait for a file",
    ),
    "trigger_on_finish": (
        "Airflow has no events of Metaflow's",
        "use @airflow_external_task_sensor to wait for another DAG",
    ),
    "exit_hook": (
        "nothing of Metaflow's runs after the last task",
        "look at the run afterwards: `devstack airflow trigger --wait`",
    ),
}
_SIMPLE_DEFAULTS = (str, int, float, bool)


@dataclass(frozen=True)
class Violation:
    """One thing that Airflow cannot do.

    Attributes:
        where: the step, parameter or flow.
        what: what cannot be done there.
        reason: why.
        instead: what to use.
    """

    where: str
    what: str
    reason: str
    instead: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}: {self.reason}; instead: {self.instead}"


def find_refusals(flow: FlowDescription, project: str = "") -> list[Violation]:
    """Return all that keeps a flow from being deployed; nothing where it can be.

    Args:
        flow: the flow.
        project: what its @project must be; anything where empty.
    """
    return [
        *(_of_project(flow, project) if project else ()),
        *_of_datastore(flow),
        *_of_parameters(flow),
        *_of_flow(flow),
        *(refusal for step in flow.steps.values() for refusal in _of_step(flow, step)),
    ]


def _of_datastore(flow: FlowDescription) -> Iterator[Violation]:
    if flow.datastore == "local":
        yield Violation(
            f"flow {flow.name}",
            "the local datastore",
            "task pods do not see this machine's disk",
            "leave out --datastore: the stack's is S3",
        )


def _of_project(flow: FlowDescription, wanted: str) -> Iterator[Violation]:
    named = [each.given.get("name") for each in flow.decorations if each.name == "project"]
    if wanted not in named:
        yield Violation(
            f"flow {flow.name}",
            f"--project {wanted}",
            f"its @project is {named[0]!r}" if named else "it has no @project",
            f"write @project(name={wanted!r}) above the class: its pods read the flow too",
        )


def _of_parameters(flow: FlowDescription) -> Iterator[Violation]:
    seen = set()
    for parameter in flow.parameters:
        where = f"parameter {parameter.name}"
        if parameter.name.lower() in seen:
            reason = "names differ by more than capitals in Airflow's variables"
            yield Violation(where, "a second one of this name", reason, "give it another name")
        seen.add(parameter.name.lower())
        if not parameter.has_default or parameter.default is None:
            yield Violation(
                where,
                "no default",
                "a schedule starts runs with nobody there to give a value",
                f"give it one: Parameter({parameter.name!r}, default=...)",
            )
        elif not isinstance(parameter.default, _SIMPLE_DEFAULTS):
            yield Violation(
                where,
                f"a default of type {type(parameter.default).__name__}",
                "it would reach the pod as broken shell code",
                "write it as a string of JSON, with type=JSONType",
            )


def _of_flow(flow: FlowDescription) -> Iterator[Violation]:
    where = f"flow {flow.name}"
    for decoration in flow.decorations:
        if decoration.name in _FLOW_DECORATORS:
            reason, instead = _FLOW_DECORATORS[decoration.name]
            yield Violation(where, f"@{decoration.name}", reason, instead)
        if decoration.name == "schedule" and decoration.given.get("timezone"):
            yield Violation(
                where,
                "@schedule(timezone=...)",
                "Metaflow hands Airflow the cron expression alone, which is then in UTC",
                "write the cron expression in UTC",
            )


def _of_step(flow: FlowDescription, step: StepDescription) -> Iterator[Violation]:
    where = f"step {step.name}"
    yield from _of_shape(flow, step, where)
    for decoration in step.decorations:
        # num_parallel brings @parallel along: named once is enough.
        if decoration.name in _STEP_DECORATORS and not step.parallel:
            reason, instead = _STEP_DECORATORS[decoration.name]
            yield Violation(where, f"@{decoration.name}", reason, instead)
        if decoration.name == "kubernetes":
            yield from _of_kubernetes(decoration, where)


def _of_shape(flow: FlowDescription, step: StepDescription, where: str) -> Iterator[Violation]:
    if step.parallel:
        reason, instead = _STEP_DECORATORS["parallel"]
        yield Violation(where, "@parallel", reason, instead)
    if step.kind == "foreach" and step.inside_foreach:
        yield Violation(
            where,
            "a foreach inside a foreach",
            "Airflow maps a task over a list once, not over lists of lists",
            "make one list of all pairs, and fan out over that",
        )
    elif step.kind == "foreach" and not _joined_at_once(flow, step):
        yield Violation(
            where,
            "a foreach with more than one step before its join",
            "Airflow maps one task, not a chain of tasks",
            "do the work of these steps in one step",
        )
    if step.kind == "split-switch":
        yield Violation(
            where,
            "a switch",
            "Metaflow's DAGs for Airflow have no conditions",
            "branch, and leave the unwanted branch without work",
        )


def _joined_at_once(flow: FlowDescription, step: StepDescription) -> bool:
    """Tell whether the one step that is mapped leads straight to its join."""
    mapped = flow.steps[step.follows[0]]
    if mapped.kind == "foreach":
        return True  # told as a foreach inside a foreach
    return all(flow.steps[name].kind == "join" for name in mapped.follows)


def _of_kubernetes(decoration: Decoration, where: str) -> Iterator[Violation]:
    for attribute, instead in _DROPPED.items():
        if decoration.given.get(attribute) not in (None, False, "", [], {}):
            yield Violation(
                where,
                f"@kubernetes({attribute}=...)",
                "Metaflow does not hand it to Airflow's pods",
                instead,
            )
