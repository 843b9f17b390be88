"""Which features of Metaflow work on which engine: the data of the table in docs/deploying.md.

``scripts/generate-deploying`` renders it. A test checks that each named test exists, and that what
is called rejected is refused by the engine's own check.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from devstack.deployers.flow_description import (
    Decorator,
    FlowDescription,
    ParameterDescription,
    StepDescription,
)

ENGINES = ("kubernetes", "airflow", "argo", "kubeflow")
"""The columns of the table; ``kubernetes`` is `devstack run` without an engine."""


@dataclass(frozen=True)
class Works:
    """It works as Metaflow documents it.

    Attributes:
        test: the test that shows it: ``FILE::NAME``.
        service: the service that the stack must have, or a flow with it is refused; empty if the
            engine suffices.
    """

    test: str
    service: str = ""


@dataclass(frozen=True)
class Partial:
    """It works in part.

    Attributes:
        limit: what does not work, or differs.
        test: the test of what works; empty if nothing is to be tested.
    """

    limit: str
    test: str = ""


@dataclass(frozen=True)
class Rejected:
    """A flow with it is refused before anything is uploaded, with a message.

    Attributes:
        flow: a small flow with the feature.
        values: what the user typed, as the engine's ``DeployValues`` has it; none of it matters
            if empty.
    """

    flow: FlowDescription
    values: Mapping[str, Any] = field(default_factory=dict)


Support = Works | Partial | Rejected


@dataclass(frozen=True)
class Feature:
    """A feature of Metaflow.

    Attributes:
        name: how a user writes it.
        support: what each engine makes of it, by the engine.
    """

    name: str
    support: Mapping[str, Support]


def _flow(*steps: StepDescription, **rest: Any) -> FlowDescription:
    return FlowDescription("MyFlow", "s3", {step.name: step for step in steps}, **rest)


def _step(*decorators: Decorator, kind: str = "start", **rest: Any) -> StepDescription:
    return StepDescription("start", kind, ("end",), decorators=decorators, **rest)


def _decorated(name: str, **attributes: Any) -> FlowDescription:
    return _flow(decorators=(Decorator(name, attributes),))


def _with_parameter(*arguments: Any, **rest: Any) -> FlowDescription:
    return _flow(parameters=(ParameterDescription(*arguments, **rest),))


_SAMPLES = "tests/e2e/test_samples.py::test_a_sample_passes_its_checks"
_DAG_SAMPLES = "tests/airflow/test_dag_samples.py::test_a_sample_succeeds"
_ARGO_SAMPLES = "tests/argo/test_samples.py::test_a_sample_succeeds"
_ARGO = "tests/argo/test_flows.py::"
_ARGO_DECORATORS = "tests/argo/test_decorators.py::"
_GRAPH_FLOW = "tests/e2e/test_graph.py::test_loops_conditions_configs_and_files_work_on_the_cluster"
_ARGO_VALUES = "tests/argo/test_values.py::test_defaults_and_given_values_arrive_exactly"
_ARGO_OTHERS = "tests/argo/test_values.py::test_variables_configs_and_files_arrive_exactly"
_DAG_VALUES = "tests/airflow/test_values.py::test_defaults_arrive_exactly"
_PIPELINE_SAMPLES = "tests/kubeflow/test_samples.py::test_a_sample_succeeds"
_KUBEFLOW = "tests/kubeflow/test_features.py::"
_KUBEFLOW_VALUES = f"{_KUBEFLOW}test_defaults_and_given_values_arrive_exactly"
_KUBEFLOW_OTHERS = f"{_KUBEFLOW}test_variables_configs_and_files_arrive_exactly"
_ATTRIBUTES = "tests/e2e/reference/test_parameters.py::"
_STARTS_NOW = "`devstack run` starts one run, now"


def _everywhere(
    kubernetes: Support, airflow: Support, argo: Support, kubeflow: Support
) -> dict[str, Support]:
    return dict(zip(ENGINES, (kubernetes, airflow, argo, kubeflow), strict=True))


_NESTED = _flow(
    StepDescription("start", "foreach", ("work",)),
    StepDescription("work", "foreach", ("one",), inside_foreach=True),
    StepDescription("one", "linear", ("join",), inside_foreach=True),
    StepDescription("join", "join", ("end",)),
)
_CHAIN = _flow(
    StepDescription("start", "foreach", ("one",)),
    StepDescription("one", "linear", ("two",), inside_foreach=True),
    StepDescription("two", "linear", ("join",), inside_foreach=True),
    StepDescription("join", "join", ("end",)),
)
_ELSEWHERE = _flow(_step(Decorator("batch")))
_LOCAL = FlowDescription("MyFlow", "local", {})

_GRAPH = (
    Feature(
        "steps, branches, joins",
        _everywhere(
            Works(_SAMPLES),
            Works(_DAG_SAMPLES),
            Works(_ARGO_SAMPLES),
            Works(f"{_KUBEFLOW}test_failures_and_timeouts_are_caught"),
        ),
    ),
    Feature(
        "`foreach`",
        _everywhere(
            Works(_SAMPLES),
            Works(_DAG_SAMPLES),
            Works(f"{_ARGO}test_a_foreach_is_joined_and_its_failed_item_is_retried"),
            Works(_PIPELINE_SAMPLES),
        ),
    ),
    Feature(
        "a `foreach` of several steps",
        _everywhere(
            Works(_GRAPH_FLOW),
            Rejected(_CHAIN),
            Works(_ARGO_SAMPLES),
            Works(_PIPELINE_SAMPLES),
        ),
    ),
    Feature(
        "a `foreach` inside a `foreach`",
        _everywhere(
            Works(_GRAPH_FLOW),
            Rejected(_NESTED),
            Works(_ARGO_SAMPLES),
            Works(_PIPELINE_SAMPLES),
        ),
    ),
    Feature(
        "a conditional, and a step that leads back to itself",
        _everywhere(
            Works(_GRAPH_FLOW),
            Rejected(_flow(_step(kind="split-switch"))),
            Works(_ARGO_SAMPLES),
            Rejected(_flow(_step(kind="split-switch"))),
        ),
    ),
    Feature(
        "`@parallel`, as a gang",
        _everywhere(
            Works(_SAMPLES),
            Rejected(_flow(_step(parallel=True))),
            Works(_ARGO_SAMPLES),
            Rejected(_flow(_step(parallel=True))),
        ),
    ),
)
_TASKS = (
    Feature(
        "`@retry`",
        _everywhere(
            Works(_SAMPLES),
            Works(_DAG_SAMPLES),
            Works("tests/argo/test_faults.py::test_a_deleted_pod_is_retried"),
            Works(_PIPELINE_SAMPLES),
        ),
    ),
    Feature(
        "`@catch`, `@timeout`",
        _everywhere(
            Works(_SAMPLES),
            Works("tests/airflow/test_deploy.py::test_a_timeout_expires_in_the_pod_and_is_caught"),
            Works(f"{_ARGO_DECORATORS}test_failures_and_timeouts_are_caught"),
            Works(f"{_KUBEFLOW}test_failures_and_timeouts_are_caught"),
        ),
    ),
    Feature(
        "`@resources`, `@kubernetes(cpu, memory, disk, image, secrets, ...)`",
        _everywhere(
            Works(f"{_ATTRIBUTES}test_cpu_and_memory_are_limits_of_a_guaranteed_pod"),
            Works(_DAG_SAMPLES),
            Works(_ARGO_OTHERS),
            Works(_PIPELINE_SAMPLES),
        ),
    ),
    Feature(
        "`@kubernetes(tolerations, labels, annotations, ...)`",
        _everywhere(
            Works(f"{_ATTRIBUTES}test_labels_and_annotations"),
            Rejected(_flow(_step(Decorator("kubernetes", {"labels": {"a": "b"}})))),
            Works(f"{_ARGO_DECORATORS}test_attributes_of_kubernetes_reach_the_pod"),
            Works(f"{_KUBEFLOW}test_attributes_of_kubernetes_reach_the_pod"),
        ),
    ),
    Feature(
        "`@kubernetes(use_tmpfs, shared_memory)`",
        _everywhere(
            Works(_SAMPLES),
            Rejected(_flow(_step(Decorator("kubernetes", {"use_tmpfs": True})))),
            Works(f"{_ARGO_DECORATORS}test_attributes_of_kubernetes_reach_the_pod"),
            Works(f"{_KUBEFLOW}test_attributes_of_kubernetes_reach_the_pod"),
        ),
    ),
    Feature(
        "`@environment`",
        _everywhere(
            Works(_SAMPLES),
            Works(_DAG_VALUES),
            Works(_ARGO_OTHERS),
            Works(_KUBEFLOW_OTHERS),
        ),
    ),
    Feature(
        "`@card`",
        _everywhere(
            Works(_SAMPLES),
            Works(_DAG_SAMPLES),
            Works(f"{_ARGO_DECORATORS}test_a_card_is_rendered"),
            Works(f"{_KUBEFLOW}test_a_card_is_rendered"),
        ),
    ),
    Feature(
        "`@batch`, `@slurm`",
        _everywhere(
            Partial("Metaflow runs the step there, not on the stack"),
            Rejected(_ELSEWHERE),
            Rejected(_ELSEWHERE),
            Rejected(_ELSEWHERE),
        ),
    ),
)
_VALUES = (
    Feature(
        "Parameters: any text, JSON, numbers, booleans",
        _everywhere(
            Works("tests/e2e/test_samples.py::test_a_sample_with_arguments_runs_like_a_user_flow"),
            Works(_DAG_VALUES),
            Works(_ARGO_VALUES),
            Partial("texts with `{{` or with control characters are rejected", _KUBEFLOW_VALUES),
        ),
    ),
    Feature(
        "a Parameter without a default",
        _everywhere(
            Works(_GRAPH_FLOW),
            Rejected(_with_parameter("n", has_default=False)),
            Partial("if `required=True`, not together with `@schedule`"),
            Partial("if each run gets a value; a run without is rejected, and so is a schedule"),
        ),
    ),
    Feature(
        "a Parameter whose name has letters beyond ASCII",
        _everywhere(
            Partial("as Metaflow's `run` does"),
            Works(_DAG_VALUES),
            Rejected(_with_parameter("größe", has_default=True, default="x")),
            Rejected(_with_parameter("größe", has_default=True, default="x")),
        ),
    ),
    Feature(
        "`Config`, `IncludeFile`",
        _everywhere(
            Works(_GRAPH_FLOW),
            Works(_DAG_VALUES),
            Works(_ARGO_OTHERS),
            Works(_KUBEFLOW_OTHERS),
        ),
    ),
    Feature(
        "`--tag` with any text",
        _everywhere(
            Partial(
                "a text that Metaflow would change is rejected",
                "tests/e2e/test_flow_arguments.py::test_a_tag_that_a_pod_would_not_get_is_rejected",
            ),
            Works("tests/airflow/test_values.py::test_a_tag_is_the_runs"),
            Works("tests/argo/test_values.py::test_a_tag_is_the_runs"),
            Partial(
                "a text that a shell would change is rejected",
                f"{_KUBEFLOW}test_a_tag_is_the_runs",
            ),
        ),
    ),
    Feature(
        "`@project`, `--branch`, `--production`",
        _everywhere(
            Works(_GRAPH_FLOW),
            Works("tests/airflow/test_deploy.py::test_variants_of_a_project_exist_side_by_side"),
            Works(f"{_ARGO_DECORATORS}test_a_branch_of_a_project_has_its_name"),
            Works(f"{_KUBEFLOW}test_a_branch_of_a_project_has_its_name"),
        ),
    ),
    Feature(
        "`--datastore local`",
        _everywhere(
            Partial("steps on this machine only"),
            Rejected(_LOCAL),
            Rejected(_LOCAL),
            Rejected(_LOCAL),
        ),
    ),
)
_STARTS = (
    Feature(
        "`@schedule`, in the notations of cron and AWS",
        _everywhere(
            Partial(_STARTS_NOW),
            Works(_DAG_SAMPLES),
            Works("tests/unit/test_argo_compile.py::test_a_schedule_is_evaluated_as_it_was_meant"),
            Works("tests/unit/test_kubeflow_deployer.py::test_schedules_of_the_command_line"),
        ),
    ),
    Feature(
        "`@schedule(timezone=...)`",
        _everywhere(
            Partial(_STARTS_NOW),
            Rejected(_decorated("schedule", timezone="Asia/Tokyo")),
            Works(f"{_ARGO}test_a_schedule_with_a_time_zone_starts_runs"),
            Rejected(_decorated("schedule", timezone="Asia/Tokyo")),
        ),
    ),
    Feature(
        "a schedule with a year",
        _everywhere(
            Partial(_STARTS_NOW),
            Rejected(_flow(), {"schedule": "0 9 ? * MON 2027"}),
            Rejected(_flow(), {"schedule": "0 9 ? * MON 2027"}),
            Rejected(_flow(), {"schedule": "0 9 ? * MON 2027"}),
        ),
    ),
    Feature(
        "a schedule with `L` or `#`",
        _everywhere(
            Partial(_STARTS_NOW),
            Works("tests/unit/test_airflow_schedule.py::test_a_schedule_is_passed_on"),
            Rejected(_flow(), {"schedule": "0 9 ? * 6L *"}),
            Rejected(_flow(), {"schedule": "0 9 ? * 6L *"}),
        ),
    ),
    Feature(
        "`@trigger`, `@trigger_on_finish`",
        _everywhere(
            Partial(_STARTS_NOW),
            Rejected(_decorated("trigger")),
            Works(
                "tests/argo/test_events.py::test_an_event_from_the_host_starts_a_flow_with_its_"
                "parameters",
                service="argo-events",
            ),
            Rejected(_decorated("trigger")),
        ),
    ),
    Feature(
        "`@exit_hook`",
        _everywhere(
            Partial("as Metaflow's `run` does"),
            Rejected(_decorated("exit_hook")),
            Works(f"{_ARGO_DECORATORS}test_a_hook_runs_after_the_last_step"),
            Rejected(_decorated("exit_hook")),
        ),
    ),
    Feature(
        "`--notify-on-error`, Slack, PagerDuty, incident.io",
        _everywhere(
            Partial("Metaflow's `run` has no such option"),
            Partial("Metaflow's `airflow create` has no such option"),
            Rejected(_flow(), {"options": {"notify_on_error": True}}),
            Partial("`kubeflow-pipelines create` has no such option"),
        ),
    ),
)

GROUPS: Mapping[str, tuple[Feature, ...]] = {
    "The graph": _GRAPH,
    "Tasks": _TASKS,
    "Values": _VALUES,
    "Starts and ends": _STARTS,
}
"""The rows of the table by the heading above them."""

FEATURES = tuple(feature for features in GROUPS.values() for feature in features)
"""All rows."""
