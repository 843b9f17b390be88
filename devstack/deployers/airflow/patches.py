"""Patches to the DAGs that Metaflow compiles, applied before they are written.

Each corrects a fault of Metaflow's that was observed in runs, or adds what its
command line cannot express. The DAG is the dictionary that becomes ``CONFIG`` in
the file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from devstack.deployers.airflow.literals import (
    label_value,
    template_literal,
    template_string,
    variable_literal,
)
from devstack.deployers.airflow.parameters import parameter_options, parameter_variables
from devstack.deployers.airflow.schedule import airflow_schedule
from devstack.deployers.script_values import ScriptValues

TIMEOUT_GRACE_SECONDS = 300
"""Airflow's limit includes the pod's start and end, so it is longer than the step's @timeout."""

FALLBACK_ATTEMPTS = 3
"""Attempts that Metaflow's runtime adds for @catch after a pod has died."""

NO_TIMEOUT_SECONDS = 5 * 24 * 3600
"""Metaflow's limit for a step without @timeout."""

GRACE_SECONDS = 1
"""For pods of stopped tasks, which ignore SIGTERM; by default Kubernetes waits 30 s."""

CONFIG_VARIABLE = "METAFLOW_FLOW_CONFIG_VALUE"
"""Metaflow's variable with the Configs; a value ``kv.NAME`` is read from the code package."""

TEMPLATE_VARIABLES = (
    "METAFLOW_RUN_ID",
    "METAFLOW_AIRFLOW_TASK_ID",
    "METAFLOW_AIRFLOW_DAG_RUN_ID",
    "METAFLOW_AIRFLOW_JOB_ID",
    "METAFLOW_ATTEMPT_NUMBER",
)
"""Variables whose values are Metaflow's own Jinja templates."""

_PARAMETERS = "METAFLOW_PARAMETERS"
_SET_PARAMETERS = re.compile(
    r"python -m metaflow\.plugins\.airflow\.plumbing\.set_parameters (\w+) && \. `pwd`/\1 && "
)
_INIT = " init --run-id "
_TEMPLATED = ("image", "namespace", "cluster_context", "config_file", "kubernetes_conn_id")
"""Texts of KubernetesPodOperator that Airflow renders as templates."""


class UnknownScriptError(ValueError):
    """This version of Metaflow writes a script that cannot be patched."""


@dataclass(frozen=True)
class DagOverrides:
    """Settings that Metaflow's command line does not have.

    Attributes:
        schedule: as for :func:`airflow_schedule`; the flow's @schedule if empty.
        timeout: maximum duration of a run in seconds; unlimited if None.
        project: the @project that the flow must have; any if empty.
        latest: the images with the tag ``latest`` that were added to the nodes, in all spellings.
        locks: the folder of the file that serializes deployments of one DAG; none if empty.
        parameters: values by name, as typed by the user, that are checked before anything is
            uploaded.
    """

    schedule: str = ""
    timeout: int | None = None
    project: str = ""
    latest: Collection[str] = ()
    locks: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)


def patch_dag(
    dag: dict[str, Any],
    overrides: DagOverrides,
    values: ScriptValues,
    *,
    catching: Collection[str] = (),
    configs: Collection[str] = (),
) -> None:
    """Patch a compiled DAG in place.

    Args:
        dag: what becomes ``CONFIG``.
        overrides: the user's settings.
        values: the values of the placeholders in its scripts.
        catching: the steps with @catch.
        configs: names of the flow's Configs.
    """
    parameters = dag["metaflow_params"] or []
    for state in dag["states"].values():
        if state["operator_type"] != "kubernetes":
            continue
        task = state["operator_args"]
        _patch_retries(task, state["name"] in catching)
        _patch_timeout(task)
        _patch_pull_policy(task, overrides.latest)
        task["termination_grace_period"] = GRACE_SECONDS
        _patch_texts(task)
        _patch_variables(task, parameters, configs)
        task["cmds"] = [_patched_script(each, parameters, values) for each in task["cmds"]]
    arguments = dag["dag_instantiation_params"]
    # click returns a tuple; Airflow expects a list.
    arguments["tags"] = list(arguments.get("tags") or [])
    schedule = overrides.schedule or arguments["schedule_interval"] or "none"
    arguments["schedule_interval"] = airflow_schedule(schedule)
    if overrides.timeout is not None:
        arguments["dagrun_timeout"] = {"seconds": overrides.timeout}


def _patch_retries(task: dict[str, Any], catches: bool) -> None:
    """Set the retry delay of the flow, and the additional attempts of @catch.

    Metaflow omits ``minutes_between_retries=0``, and Airflow then waits 200 s.
    """
    if "retry_delay" not in task:
        task["retry_delay"] = {"seconds": 0}
    if catches:
        task["retries"] += FALLBACK_ATTEMPTS


def _patch_pull_policy(task: dict[str, Any], latest: Collection[str]) -> None:
    """Let nodes use an image with the tag `latest` that was added to them.

    Kubernetes would pull it for each pod, and Metaflow supports no policy on Airflow. One that
    was not added is pulled, because the registry may have a later version.
    """
    if task.get("image") in latest:
        task["image_pull_policy"] = "IfNotPresent"


def _patch_timeout(task: dict[str, Any]) -> None:
    """Let @timeout expire in the pod, where @catch handles it, before Airflow stops the pod."""
    limit = task["execution_timeout"]
    if limit["seconds"] < NO_TIMEOUT_SECONDS:
        limit["seconds"] += TIMEOUT_GRACE_SECONDS


def _patch_texts(task: dict[str, Any]) -> None:
    """Keep Airflow from rendering the user's texts as templates, and make labels valid.

    Metaflow puts the user's name into a label as it is; Kubernetes then rejects the pod.
    """
    task["labels"] = {name: label_value(str(text)) for name, text in task["labels"].items()}
    task["annotations"] = _literals(task["annotations"])
    task["node_selector"] = _literals(task.get("node_selector"))
    for name in _TEMPLATED:
        if isinstance(task.get(name), str):
            task[name] = template_literal(task[name])


def _literals(texts: dict[str, Any] | None) -> dict[str, str] | None:
    if texts is None:
        return None
    return {name: template_literal(str(text)) for name, text in texts.items() if text is not None}


def _patch_variables(
    task: dict[str, Any], parameters: list[dict[str, Any]], configs: Collection[str]
) -> None:
    """Pass the user's variables on as they are, and add those for Parameters and Configs."""
    given = {each["name"]: each["value"] for each in task["env_vars"]}
    begins = given.pop(_PARAMETERS, None) is not None
    if configs:
        given[CONFIG_VARIABLE] = json.dumps({name: f"kv.{name}" for name in configs})
    task["env_vars"] = [
        {
            "name": name,
            "value": value if name in TEMPLATE_VARIABLES else variable_literal(str(value)),
        }
        for name, value in given.items()
    ]
    if begins:
        task["env_vars"] += parameter_variables(parameters)


def _patched_script(script: str, parameters: list[dict[str, Any]], values: ScriptValues) -> str:
    """Return a part of a pod's command with the user's values."""
    for start in ("{%", "{#"):
        # Metaflow's own templates are expressions only.
        script = script.replace(start, f"{{{{ {template_string(start)} }}}}")
    if "set_parameters" in script:
        script, count = _SET_PARAMETERS.subn("", script)
        if count != 1 or script.count(_INIT) != 1:
            raise UnknownScriptError("the start step's script sets the Parameters in another way")
        script = script.replace(_INIT, f" init {parameter_options(parameters)}{_INIT[5:]}")
    return values.insert(script)
