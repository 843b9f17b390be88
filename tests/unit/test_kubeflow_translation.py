"""Pipelines that kfp's compiler and metaflow-kubeflow wrote, as workflows of Argo."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubeflow_pipelines.translation.pipeline import Pipeline, read_pipeline
from kubeflow_pipelines.translation.schedules import argo_cron, interval_cron
from kubeflow_pipelines.translation.unsupported import UnsupportedError
from kubeflow_pipelines.translation.values import format_value, run_values
from kubeflow_pipelines.translation.workflows import (
    RunRequest,
    Target,
    build_cron_workflow,
    build_workflow,
    check_pipeline,
)

DATA = Path(__file__).parent / "data" / "kubeflow"
RUN_ID = "0f8fad5b-d9cb-469f-a165-70867728950e"
TARGET = Target("flows", "metaflow-task")


def pipeline(name: str) -> Pipeline:
    return read_pipeline(list(yaml.safe_load_all((DATA / f"{name}.yaml").read_text())))


def request(name: str, **parameters: Any) -> RunRequest:
    return RunRequest(RUN_ID, "my run", pipeline(name), "pipeline-id", parameters)


def workflow(name: str, **parameters: Any) -> dict[str, Any]:
    return build_workflow(request(name, **parameters), TARGET)


def templates(name: str, **parameters: Any) -> dict[str, Any]:
    made = workflow(name, **parameters)["spec"]["templates"]
    return {each["name"]: each for each in made}


def tasks(template: dict[str, Any]) -> dict[str, Any]:
    return {each["name"]: each for each in template["dag"]["tasks"]}


def arguments(task: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["value"] for each in task["arguments"]["parameters"]}


def variables(template: dict[str, Any]) -> dict[str, Any]:
    found = template["container"]["env"]
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in found}


@pytest.fixture(scope="module")
def linear() -> dict[str, Any]:
    return templates("linear_flow", missing=4)


def test_a_run_is_a_workflow_that_knows_its_id() -> None:
    made = workflow("loop-pipeline")
    assert made["metadata"]["name"] == "loop-pipeline-0f8fad5b"
    assert made["metadata"]["namespace"] == "flows"
    # metaflow-kubeflow writes {{workflow.labels.pipeline/runid}} into its scripts.
    assert made["metadata"]["labels"]["pipeline/runid"] == RUN_ID
    assert made["spec"]["serviceAccountName"] == "metaflow-task"


def test_an_integer_is_no_fraction() -> None:
    # The compiler writes 3.0: a number of protobuf's Struct.
    values = workflow("loop-pipeline")["spec"]["arguments"]["parameters"]
    assert {"name": "count", "value": "3"} in values


def test_values_have_the_form_that_their_type_has_on_a_command_line() -> None:
    given = workflow("linear_flow", missing=4, ratio=1e-7, flag=False, word='a "b"\n')
    values = {each["name"]: each["value"] for each in given["spec"]["arguments"]["parameters"]}
    assert values == {
        "count": "3",
        "ratio": "0.0000001",
        "flag": "false",
        "word": 'a "b"\n',
        "data": '{"a": [1, 2]}',
        "missing": "4",
    }


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("STRING", "ü 😀", "ü 😀"),
        ("NUMBER_INTEGER", 3.0, "3"),
        ("NUMBER_DOUBLE", 3.0, "3"),
        ("NUMBER_DOUBLE", 0.5, "0.5"),
        ("NUMBER_DOUBLE", 10**21, "1000000000000000000000"),
        ("BOOLEAN", True, "true"),
        ("LIST", [1.0, "a", {"b": 2.0}], '[1,"a",{"b":2}]'),
        ("STRUCT", {"a": 1.5}, '{"a":1.5}'),
    ],
)
def test_values_become_text(kind: str, value: Any, text: str) -> None:
    assert format_value("x", kind, value) == text


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("STRING", 3),
        ("STRING", "a {{workflow.name}}"),
        ("STRING", "bell \a"),
        ("STRING", "\U000e0001"),
        ("NUMBER_INTEGER", 3.5),
        ("NUMBER_INTEGER", True),
        ("NUMBER_INTEGER", "3"),
        ("BOOLEAN", "true"),
        ("LIST", {}),
        ("ARTIFACT", "x"),
    ],
)
def test_values_that_would_arrive_changed_are_refused(kind: str, value: Any) -> None:
    with pytest.raises(UnsupportedError, match="parameter x"):
        format_value("parameter x", kind, value)


def test_an_unknown_parameter_is_named() -> None:
    with pytest.raises(UnsupportedError, match=r"cuont.*count, label"):
        workflow("loop-pipeline", cuont=1)


def test_a_required_parameter_needs_a_value() -> None:
    definitions = {"n": {"parameterType": "NUMBER_INTEGER"}}
    with pytest.raises(UnsupportedError, match="parameter n: it has no value"):
        run_values(definitions, {})


def test_a_parameter_that_a_task_uses_needs_a_value() -> None:
    # Metaflow's Parameter without a default is optional for kfp; an empty text would be another.
    with pytest.raises(UnsupportedError, match="missing"):
        workflow("linear_flow")


def test_tasks_wait_for_those_before_them(linear: dict[str, Any]) -> None:
    found = tasks(linear["kfp-pipeline"])
    assert "dependencies" not in found["start"]
    assert found["second-one"]["dependencies"] == ["start"]
    assert arguments(found["end"]) == {
        "second_one_task_id": "{{tasks.second-one.outputs.parameters.task_id_out}}"
    }


def test_an_output_is_a_file_in_a_volume(linear: dict[str, Any]) -> None:
    path = "/tmp/kfp/outputs/task_id_out"
    (output,) = linear["start"]["outputs"]["parameters"]
    assert output == {"name": "task_id_out", "valueFrom": {"path": path}}
    assert linear["start"]["container"]["args"][1] == path
    mounts = {
        each["name"]: each["mountPath"] for each in linear["start"]["container"]["volumeMounts"]
    }
    assert mounts == {"kfp-outputs": "/tmp/kfp/outputs"}
    assert {"name": "kfp-outputs", "emptyDir": {}} in linear["start"]["volumes"]
    assert "volumes" not in linear["end"]


def test_kubernetes_expands_nothing_in_a_script(linear: dict[str, Any]) -> None:
    container = linear["second-one"]["container"]
    assert "$$(echo -n second_one" in container["args"][0]
    assert "$(echo" not in container["args"][0].replace("$$", "")
    assert variables(linear["second-one"])["MINE"] == "$$HOME $$(KFP_POD_NAME)"
    # A value is known at run time only.
    assert container["args"][1] == (
        "{{=sprig.replace('$', '$$', inputs.parameters['start_task_id'])}}"
    )


def test_argos_own_placeholders_stay(linear: dict[str, Any]) -> None:
    assert variables(linear["start"])["KFP_RUN_ID"] == "{{workflow.labels.pipeline/runid}}"
    script = linear["start"]["container"]["args"][0]
    for name in ("workflow.creationTimestamp", "retries"):
        assert "{{" + name + "}}" in script
    annotations = linear["start"]["metadata"]["annotations"]
    assert annotations["metaflow/run_id"] == "kfp-{{workflow.labels.pipeline/runid}}"


def test_retries_wait_as_long_as_the_task_says(linear: dict[str, Any]) -> None:
    assert linear["start"]["retryStrategy"] == {
        "limit": "2",
        "retryPolicy": "Always",
        # Not maxDuration, which limits the time of all attempts together.
        "backoff": {"duration": "60s", "factor": "1", "cap": "420s"},
    }
    assert "retryStrategy" not in linear["end"]


def test_the_pods_fields_become_variables(linear: dict[str, Any]) -> None:
    found = variables(linear["start"])
    assert found["KFP_POD_NAME"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    assert found["KFP_POD_UID"] == {"fieldRef": {"fieldPath": "metadata.uid"}}
    assert found["METAFLOW_KUBERNETES_NODE_IP"] == {"fieldRef": {"fieldPath": "status.hostIP"}}


def test_timeouts_and_labels_are_kept(linear: dict[str, Any]) -> None:
    assert linear["start"]["activeDeadlineSeconds"] == 180
    assert linear["second-one"]["metadata"]["labels"]["team"] == "a"
    assert linear["second-one"]["metadata"]["annotations"]["note"] == "b"


def test_resources_are_those_of_the_step(linear: dict[str, Any]) -> None:
    requests = linear["start"]["container"]["resources"]["requests"]
    assert requests == {"cpu": "1", "memory": "4096M", "ephemeral-storage": "10240M"}
    limits = linear["second-one"]["container"]["resources"]["limits"]
    assert limits["nvidia.com/gpu"] == "1"
    assert limits["ephemeral-storage"] == "2048M"


def test_settings_that_kfp_loses_come_from_the_annotation(linear: dict[str, Any]) -> None:
    template = linear["second-one"]
    assert template["serviceAccountName"] == "runner"
    assert template["nodeSelector"] == {"pool": "big"}
    assert template["tolerations"] == [{"key": "big", "operator": "Exists"}]
    assert json.loads(template["podSpecPatch"]) == {"imagePullSecrets": [{"name": "registry"}]}
    container = template["container"]
    assert container["imagePullPolicy"] == "IfNotPresent"
    assert container["securityContext"] == {"runAsUser": 1000}
    names = [each["secretRef"]["name"] for each in container["envFrom"]]
    assert names == ["mine", "stack-keys"]
    mounts = {each["mountPath"]: each["name"] for each in container["volumeMounts"]}
    assert set(mounts) == {"/tmp/kfp/outputs", "/metaflow_temp", "/dev/shm", "/mnt/shared"}
    assert set(mounts.values()) == {each["name"] for each in template["volumes"]}
    assert "devstack/pod-settings" not in template["metadata"]["annotations"]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"hostNetwork": True}, "hostNetwork"),
        ({"volumes": [{"name": "x", "hostPath": {"path": "/"}}]}, "hostPath"),
        ({"container": {"command": ["sh"]}}, "command"),
        ("no object", "invalid"),
    ],
)
def test_an_annotation_sets_nothing_else(settings: Any, reason: str) -> None:
    found = pipeline("linear_flow")
    executor = found.kubernetes("exec-end")
    executor["podMetadata"]["annotations"]["devstack/pod-settings"] = json.dumps(settings)
    with pytest.raises(UnsupportedError, match=reason):
        check_pipeline(found)


def test_a_loop_limits_what_runs_at_once() -> None:
    found = templates("loop-pipeline")
    loop = found["for-loop-1"]
    assert loop["parallelism"] == 2
    (iteration,) = loop["dag"]["tasks"]
    assert iteration["withParam"] == "{{inputs.parameters.pipelinechannel--make-list-items}}"
    item = "pipelinechannel--make-list-items-loop-item"
    assert arguments(iteration)[item] == "{{item}}"
    assert iteration["template"] == "for-loop-1-body"


def test_a_text_with_inputs_is_put_together() -> None:
    (double,) = templates("loop-pipeline")["for-loop-1-body"]["dag"]["tasks"]
    assert arguments(double) == {
        "number": "{{inputs.parameters.pipelinechannel--make-list-items-loop-item}}",
        "label": (
            "{{inputs.parameters.pipelinechannel--label}}-"
            "{{inputs.parameters.pipelinechannel--make-list-items-loop-item}}"
        ),
    }


def test_collected_numbers_are_numbers() -> None:
    # Argo collects texts.
    show = tasks(templates("loop-pipeline")["kfp-pipeline"])["show"]
    assert arguments(show)["numbers"] == (
        "{{=sprig.replace('\"', '', "
        "tasks['for-loop-1'].outputs.parameters['pipelinechannel--double-doubled'])}}"
    )


def test_fixed_items_are_in_the_workflow() -> None:
    (iteration,) = templates("fixed-items")["for-loop-2"]["dag"]["tasks"]
    assert json.loads(iteration["withParam"]) == ["a", "b"]
    assert "parallelism" not in templates("fixed-items")["for-loop-2"]
    (double,) = templates("fixed-items")["for-loop-2-body"]["dag"]["tasks"]
    assert arguments(double)["number"] == "1"


def test_loops_within_loops_collect_texts() -> None:
    found = templates("nested_flow")
    join = tasks(found["kfp-pipeline"])["outer-join"]
    collected = "pipelinechannel--inner-join-task_id_out"
    assert arguments(join) == {
        "inner_join_task_ids": "{{tasks.for-loop-1.outputs.parameters." + collected + "}}"
    }
    (output,) = found["for-loop-1"]["outputs"]["parameters"]
    assert output["valueFrom"] == {
        "parameter": "{{tasks.iteration.outputs.parameters." + collected + "}}"
    }
    body = tasks(found["for-loop-1-body"])
    assert body["for-loop-2"]["template"] == "for-loop-2"
    assert body["inner-join"]["dependencies"] == ["for-loop-2"]
    assert found["for-loop-2"]["parallelism"] == 100


def test_every_template_that_a_task_names_exists() -> None:
    for name in ("loop-pipeline", "nested_flow", "fixed-items"):
        found = templates(name)
        dags = [each for each in found.values() if "dag" in each]
        for task in (task for dag in dags for task in dag["dag"]["tasks"]):
            inputs = found[task["template"]].get("inputs", {}).get("parameters", [])
            given = {each["name"] for each in task.get("arguments", {}).get("parameters", [])}
            assert {each["name"] for each in inputs if "default" not in each} == given


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("artifact", "task with-artifact: artifacts are not supported: made"),
        ("condition", "task condition-1: conditions"),
        ("exit-handler", "task fail: conditions .* exit handlers"),
        ("optional", "task with-option: IfPresent"),
        ("python-component", "task lightweight: a Python component"),
        ("secret", "task fail: secretAsEnv"),
        ("sub-field", "task double: input number: parameterExpressionSelector"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(name: str, reason: str) -> None:
    with pytest.raises(UnsupportedError, match=reason):
        check_pipeline(pipeline(name))


def changed(path: str, value: Any, name: str = "loop-pipeline") -> Pipeline:
    """Return a pipeline in which the field at a path, ``a/b``, is another one."""
    found = pipeline(name)
    *parents, last = path.split("/")
    place: Any = found.spec
    for parent in parents:
        place = place[parent]
    place[last] = value
    return found


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("deploymentSpec/executors/exec-show/importer", {"a": 1}, "importer"),
        ("deploymentSpec/executors/exec-show/container/command", [], "without a command"),
        ("deploymentSpec/executors/exec-show/container/lifecycle", {"a": 1}, "lifecycle"),
        ("deploymentSpec/executors/exec-show/container/args", ["{{retries}}"], "{{retries}}"),
        ("deploymentSpec/executors/exec-show/container/args", ["{{x"], "for a template"),
        ("deploymentSpec/executors/exec-show/container/args", ["{{pod.name}}"], "pod.name"),
        ("root/dag/tasks/show/artifactIterator", {"a": 1}, "loops over artifacts"),
        ("root/dag/tasks/for-loop-1/retryPolicy", {"maxRetryCount": 1}, "retry of several"),
        ("root/dag/tasks/for-loop-1/iteratorPolicy", {"x": 1}, "x is not supported"),
        ("root/dag/tasks", {}, "no tasks"),
        ("components/comp-show", {"executorLabel": "none"}, "executor none"),
        ("defaultPipelineRoot", "s3://x", "defaultPipelineRoot"),
    ],
)
def test_any_other_field_is_refused_by_name(path: str, value: Any, reason: str) -> None:
    documents = [changed(path, value).spec]
    with pytest.raises(UnsupportedError, match=reason):
        check_pipeline(read_pipeline(documents))


def test_another_version_of_the_ir_is_refused() -> None:
    with pytest.raises(UnsupportedError, match=r"schemaVersion 2\.0\.0"):
        read_pipeline([{"schemaVersion": "2.0.0"}])


def test_amounts_of_older_compilers_are_numbers() -> None:
    amounts = {"cpuRequest": 0.5, "memoryLimit": 0.512}
    path = "deploymentSpec/executors/exec-show/container/resources"
    made = build_workflow(RunRequest(RUN_ID, "x", changed(path, amounts)), TARGET)
    (show,) = (each for each in made["spec"]["templates"] if each["name"] == "show")
    assert show["container"]["resources"] == {
        "requests": {"cpu": "0.5"},
        "limits": {"memory": "512000000"},
    }


def test_a_schedule_starts_runs_with_ids_of_their_own() -> None:
    made = build_cron_workflow(request("loop-pipeline"), TARGET, "0 30 6 * * ?", enabled=True)
    spec = made["spec"]
    assert (spec["schedules"], spec["timezone"], spec["suspend"]) == (["30 6 * * ?"], "UTC", False)
    assert spec["concurrencyPolicy"] == "Forbid"
    labels = spec["workflowSpec"]["workflowMetadata"]["labelsFrom"]
    assert labels == {"pipeline/runid": {"expression": "workflow.uid"}}
    assert spec["workflowMetadata"]["labels"]["pipeline/recurring-run-id"] == RUN_ID
    # 11 characters are added to the names of its workflows, of which 63 are allowed.
    assert len(made["metadata"]["name"]) <= 52


def test_a_scheduled_flow_gets_its_run_id_without_a_label() -> None:
    """Argo sets the label after it has created the first pods."""
    made = build_cron_workflow(request("nested_flow"), TARGET, "0 30 6 * * ?", enabled=True)
    text = json.dumps(made)
    assert "NestedFlow/kfp-{{workflow.uid}}/" in text
    assert "{{workflow.labels.pipeline/runid}}" not in text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("30 6 * * *", "5 fields"),
        ("30 0 6 * * *", "full minutes"),
        ("0 0 9 ? * 6L", "no '6L'"),
        ("0 0 9 L * ?", "no 'L'"),
        ("0 0 9 ? * FRI#3", "no 'FRI#3'"),
    ],
)
def test_a_schedule_that_argo_cannot_follow_is_refused(text: str, reason: str) -> None:
    with pytest.raises(UnsupportedError, match=reason):
        argo_cron(text)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ("60", "0 */1 * * * *"),
        ("300", "0 */5 * * * *"),
        ("3600", "0 0 * * * *"),
        ("21600", "0 0 */6 * * *"),
        ("86400", "0 0 0 * * *"),
    ],
)
def test_an_interval_that_divides_an_hour_or_a_day_is_a_schedule(
    seconds: str, expected: str
) -> None:
    assert interval_cron(seconds) == expected
    assert argo_cron(expected) == expected[2:]


@pytest.mark.parametrize("seconds", ["0", "", "-60", "30", "420", "18000", "172800", "x"])
def test_other_intervals_are_refused(seconds: str) -> None:
    with pytest.raises(UnsupportedError, match="interval"):
        interval_cron(seconds)


def test_a_long_name_is_shortened() -> None:
    found = changed("pipelineInfo", {"name": "A very_long.name " * 10})
    made = build_workflow(RunRequest(RUN_ID, "x", found), TARGET)
    assert len(made["metadata"]["name"]) < 52
    assert made["metadata"]["name"].startswith("a-very-long-name-a")
