"""The texts of a flow and of events in a sensor."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from devstack.deployers.argo.compile import CompiledTemplate
from devstack.deployers.argo.sensor_texts import protect_event_texts
from devstack.flows.source import FlowSource
from tests.fakes.s3 import fake_s3
from tests.support.engine_values import TEXTS, flow_text
from tests.support.template_compilation import (
    argo_environment,
    compile_template,
    empty_cluster,
    events_environment,
)

TRIGGER = (
    "@trigger(event={'name': 'arrived',"
    " 'parameters': {'text6': 'note', 'data': 'content', 'size': 'number'}})\n"
)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CompiledTemplate]:
    """A flow that an event starts, with all texts as defaults and tags."""
    folder = tmp_path_factory.mktemp("argo")
    path = folder / "values.py"
    path.write_text(flow_text().replace("class", TRIGGER + "class", 1))
    with fake_s3() as s3, empty_cluster() as (_, port):
        env = events_environment(argo_environment(folder, s3, port))
        tags = [f"--tag={text}" for text in TEXTS]
        yield compile_template(FlowSource(path), env, create_options=tags)


@pytest.fixture
def sensor(compiled: CompiledTemplate) -> Mapping[str, Any]:
    assert compiled.sensor is not None
    return compiled.sensor


def trigger_of(sensor: Mapping[str, Any]) -> dict[str, Any]:
    (trigger,) = sensor["spec"]["triggers"]
    found: dict[str, Any] = trigger["template"]["k8s"]
    return found


def sources(sensor: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return where the values of parameters come from, by the names of these."""
    return {
        each["dest"].partition("name=")[2].partition(")")[0]: each["src"]
        for each in trigger_of(sensor)["parameters"]
    }


def test_a_sensor_starts_runs_with_the_templates_defaults(
    compiled: CompiledTemplate, sensor: Mapping[str, Any]
) -> None:
    arguments = trigger_of(sensor)["source"]["resource"]["spec"]["arguments"]["parameters"]
    given = {each["name"]: each["value"] for each in arguments}
    wanted = compiled.template["spec"]["arguments"]["parameters"]
    assert given == {each["name"]: each["value"] for each in wanted}
    assert json.loads(given["text6"]) == TEXTS[6]
    assert not [value for value in given.values() if "{{" in value]


def test_what_an_event_lacks_has_the_exact_default(sensor: Mapping[str, Any]) -> None:
    found = sources(sensor)
    assert json.loads(found["text6"]["value"]) == TEXTS[6]
    assert "{{" not in found["text6"]["value"]
    assert json.loads(json.loads(found["data"]["value"])) == {"a": ["ü", None]}


def test_a_sensor_has_the_users_tags(sensor: Mapping[str, Any]) -> None:
    assert json.loads(sensor["metadata"]["annotations"].get("metaflow/tags", "[]")) == list(TEXTS)
    assert "devstack-value-" not in json.dumps(sensor)


@pytest.mark.parametrize(("name", "key"), [("text6", "note"), ("data", "content")])
def test_argo_finds_no_template_in_a_value_of_an_event(
    sensor: Mapping[str, Any], name: str, key: str
) -> None:
    template = sources(sensor)[name]["dataTemplate"]
    assert f'"{key}"' in template
    assert '| replace "{{" "{\\\\u007b"' in template


def test_the_event_itself_is_a_variable_that_nothing_expands(sensor: Mapping[str, Any]) -> None:
    (name,) = sources(sensor).keys() - {"text6", "data", "size"}
    source = sources(sensor)[name]
    assert "dataKey" not in source
    assert source["dataTemplate"] == (
        r'{{ get $.Input.body "payload" | toRawJson'
        r' | replace "{{" "{\\u007b" | replace "$" "\\u0024" }}'
    )
    assert source["value"] == "null"


def test_templates_of_other_versions_of_metaflow_stay_as_they_are() -> None:
    source = {"dependencyName": "a", "dataKey": "body.payload.size", "value": "3"}
    parameters = [{"src": dict(source), "dest": "x"}]
    sensor = {"spec": {"triggers": [{"template": {"k8s": {"parameters": parameters}}}]}}
    protect_event_texts(sensor)
    assert parameters[0]["src"] == source
