"""Values that Airflow, Kubernetes or a pod's shell would reject, or not get as they are.

Other values are passed on exactly; see docs/airflow.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from devstack.cron import ScheduleError
from devstack.deployers.airflow.schedule import airflow_schedule
from devstack.deployers.flow_description import FlowDescription, StepDescription
from devstack.deployers.pod_texts import text_problem
from devstack.deployers.unsupported import Violation

MAX_DAG_ID = 250
"""Airflow's limit for a DAG's id and a task's (COLLATION_ARGS, ID_LEN)."""

MAX_STEP = 220
"""Airflow's limit for the name of a pod (KubernetesPodOperator)."""

MAX_TAG = 100
"""Airflow's limit for a DAG's tag."""

MAX_TAGS = 50
"""Metaflow's limit for a run (tagging_util.MAX_USER_TAG_SET_SIZE)."""

MAX_POOL = 256
SENSORS = ("airflow_s3_key_sensor", "airflow_external_task_sensor")

_VARIABLE_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_LABEL_KEY = re.compile(r"([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
"""Kubernetes, "Labels and Selectors", syntax."""

_UNQUOTED = re.compile(r"[\w@%+=:,./-]+", re.ASCII)


@dataclass(frozen=True)
class DeployValues:
    """What the user typed for one deployment.

    Attributes:
        script: the name of the flow's file.
        datastore_root: the datastore's address.
        user: the user's name.
        tags: the tags of the runs.
        texts: further texts by their option: namespace, production tokens.
        pool: the pool of the tasks; None for Airflow's default.
        schedule: the option ``--schedule``; the flow's @schedule if empty.
    """

    script: str
    datastore_root: str = ""
    user: str = ""
    tags: Sequence[str] = ()
    texts: Mapping[str, str | None] | None = None
    pool: str | None = None
    schedule: str = ""


def find_value_violations(flow: FlowDescription, values: DeployValues) -> list[Violation]:
    """Return the values of a flow and of a deployment that cannot be used."""
    return [
        *_check_texts(values),
        *_check_tags(values.tags),
        *_check_schedule(flow, values.schedule),
        *_check_names(flow),
        *(each for step in flow.steps.values() for each in _check_variables(step)),
        *(each for step in flow.steps.values() for each in _check_node_selector(step)),
    ]


def check_dag_id(dag_id: str, *, is_project: bool) -> list[Violation]:
    """Return what is wrong with the id of a DAG."""
    instead = "choose another --name"
    if is_project:
        instead = "choose a --branch, or another user name: METAFLOW_USER=name"
    if not re.fullmatch(r"\w[\w.-]*", dag_id):
        reason = (
            "a DAG's id has letters, digits, `_`, `-` and `.` only, and begins with none of `-.`"
        )
        return [Violation("the DAG's id", repr(dag_id), reason, instead)]
    if len(dag_id.encode()) > MAX_DAG_ID:
        reason = f"it has {len(dag_id.encode())} bytes; Airflow's limit is {MAX_DAG_ID}"
        return [Violation("the DAG's id", repr(dag_id), reason, instead)]
    return []


def _check_texts(values: DeployValues) -> Iterator[Violation]:
    texts = {"the file's name": values.script, "METAFLOW_USER": values.user}
    texts |= {name: text or "" for name, text in (values.texts or {}).items()}
    for where, text in texts.items():
        if problem := text_problem(text):
            yield Violation(where, repr(text[:80]), problem, "choose another text")
    if values.script.startswith("-"):
        reason = "Python would take it for an option"
        yield Violation("the file's name", repr(values.script), reason, "rename the file")
    if values.datastore_root and not _UNQUOTED.fullmatch(values.datastore_root):
        reason = "Metaflow puts it into a shell script without quotes"
        yield Violation("--datastore-root", repr(values.datastore_root), reason, "omit it")
    if values.pool is not None and not 0 < len(values.pool) <= MAX_POOL:
        reason = f"a pool's name has 1 to {MAX_POOL} characters"
        yield Violation("--worker-pool", repr(values.pool[:80]), reason, "choose another name")


def _check_tags(tags: Sequence[str]) -> Iterator[Violation]:
    if len(set(tags)) > MAX_TAGS:
        reason = f"Metaflow allows {MAX_TAGS} tags for a run"
        yield Violation("--tag", f"{len(set(tags))} tags", reason, "omit some of them")
    for tag in tags:
        problem = text_problem(tag)
        if not 0 < len(tag) <= MAX_TAG:
            problem = f"a DAG's tag has 1 to {MAX_TAG} characters"
        if problem:
            yield Violation("--tag", repr(tag[:80]), problem, "choose another tag")


def _check_schedule(flow: FlowDescription, option: str) -> Iterator[Violation]:
    crons = [
        ("@schedule", each.attributes.get("cron"))
        for each in flow.decorators
        if each.name == "schedule"
    ]
    for where, schedule in [("--schedule", option)] if option else crons:
        try:
            airflow_schedule(schedule or "none")
        except ScheduleError as error:
            yield Violation(where, repr(schedule), str(error), error.instead)


def _check_names(flow: FlowDescription) -> Iterator[Violation]:
    for name in flow.steps:
        if len(name) > MAX_STEP:
            reason = f"it has {len(name)} characters; Airflow's limit is {MAX_STEP}"
            yield Violation(f"step {name[:40]}...", "the name", reason, "choose a shorter name")
    taken = set(flow.steps)
    for decorator in flow.decorators:
        given = decorator.attributes.get("name")
        if decorator.name not in SENSORS or given is None:
            continue
        where, sensor = f"@{decorator.name}", str(given)
        if not re.fullmatch(r"[\w.-]+", sensor) or len(sensor) > MAX_DAG_ID:
            reason = "a task's name has letters, digits, `_`, `-` and `.` only"
            yield Violation(where, f"name={sensor!r:.80}", reason, "choose another name")
        if sensor in taken:
            reason = "another task of the DAG has this name"
            yield Violation(where, f"name={sensor!r}", reason, "choose another name")
        taken.add(sensor)


def _check_node_selector(step: StepDescription) -> Iterator[Violation]:
    for decorator in step.decorators:
        selector = decorator.attributes.get("node_selector")
        if decorator.name != "kubernetes" or not isinstance(selector, Mapping):
            continue
        for key, value in selector.items():
            if not _LABEL_KEY.fullmatch(str(key)) or not _LABEL_VALUE.fullmatch(str(value)):
                what = f"node_selector {key}={value}"
                reason = "Kubernetes has no such label"
                instead = "use letters, digits, `_`, `-` and `.`; at most 63 characters"
                yield Violation(f"step {step.name}", what, reason, instead)


def _check_variables(step: StepDescription) -> Iterator[Violation]:
    variables: dict[Any, Any] = {}
    for decorator in step.decorators:
        given = decorator.attributes.get("vars") or {}
        if decorator.name == "environment" and isinstance(given, Mapping):
            variables.update(given)
        elif decorator.name == "environment":
            what = f"@environment(vars={given!r:.80})"
            reason = "Metaflow could not read it as a dict"
            yield Violation(
                f"step {step.name}", what, reason, "write @environment in the flow's file"
            )
    for name, value in variables.items():
        where = f"step {step.name}"
        if not _VARIABLE_NAME.fullmatch(str(name)):
            reason = "Kubernetes allows letters, digits, `_`, `-` and `.` only"
            yield Violation(where, f"@environment variable {name!r}", reason, "rename it")
        if problem := text_problem(str(value)):
            what = f"@environment variable {name}"
            yield Violation(where, what, problem, "put the text into a file, or an artifact")
