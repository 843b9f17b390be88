"""What users type reaches a pod of a workflow exactly, or is refused before anything is uploaded.

The pod's command is executed here: with Argo's templates replaced, expanded as the kubelet does,
and with a program in place of Python that records what it gets.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

import devstack
from devstack.deployers.argo.parameters import EXACT, encode_parameters, encode_value
from devstack.deployers.argo.unsupported_values import DeployValues, find_value_violations
from devstack.deployers.flow_description import (
    Decorator,
    FlowDescription,
    ParameterDescription,
    StepDescription,
)
from devstack.errors import DevstackError
from devstack.flows.environment import FlowEnvironment
from devstack.flows.source import FlowSource
from tests.fakes.s3 import fake_s3
from tests.support.engine_values import (
    NAMESPACE,
    SPEC,
    TEXTS,
    Call,
    execute,
    expanded,
    flow_text,
    options,
)
from tests.support.template_compilation import (
    argo_environment,
    compile_template,
    empty_cluster,
)

GANG = """
    @step
    def start(self):
        self.next(self.work, num_parallel=2)
    @environment(vars={"TEXT": TEXTS[6]})
    @parallel
    @step
    def work(self):
        self.next(self.join)
    @step
    def join(self, inputs):
        self.next(self.end)
    @step
    def end(self):
        pass
"""


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlowEnvironment]:
    folder = tmp_path_factory.mktemp("argo")
    with fake_s3() as s3, empty_cluster() as (_, port):
        yield argo_environment(folder, s3, port)


@pytest.fixture(scope="module")
def template(env: FlowEnvironment, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """A template with all texts as parameters, variables and tags."""
    path = tmp_path_factory.mktemp("flow") / "values.py"
    path.write_text(flow_text().replace("class", '@project(name="shop")\nclass', 1))
    compiled = compile_template(
        FlowSource(path),
        env,
        create_options=[*(f"--tag={text}" for text in TEXTS), f"--namespace={NAMESPACE}"],
        metaflow_options=["--with", SPEC],
    )
    return compiled.template


def defaults(template: Mapping[str, Any]) -> dict[str, str]:
    parameters = template["spec"]["arguments"]["parameters"]
    return {each["name"]: each["value"] for each in parameters}


def container(template: Mapping[str, Any], step: str) -> dict[str, Any]:
    templates = template["spec"]["templates"]
    found: dict[str, Any] = next(each for each in templates if each["name"] == step)["container"]
    return found


def replaced(text: str, params: Mapping[str, str]) -> str:
    """Replace templates as Argo does; it fails if one does not end."""

    def evaluate(match: re.Match[str]) -> str:
        if parameter := re.fullmatch(r"=toBase64\(workflow\.parameters\['(.*)'\]\)", match[1]):
            return base64.b64encode(params[parameter[1]].encode()).decode()
        return "template"

    found = re.sub(r"\{\{(.*?)\}\}", evaluate, text, flags=re.DOTALL)
    assert "{{" not in found
    return found


def executed(template: Mapping[str, Any], step: str, folder: Path, **params: str) -> list[Call]:
    """Execute the command of a step's pod; return arguments and variables of each flow."""
    made = container(template, step)
    values = {**defaults(template), **params}
    variables: dict[str, str] = {"HOSTNAME": "wrong"}
    for each in made["env"]:
        if each.get("value") is not None:
            variables[each["name"]] = expanded(replaced(each["value"], values), variables)
    script = expanded(replaced(made["command"][2], values), variables)
    script = script.replace("/tmp/mf-input-paths", str(folder / "paths"))
    return execute(script, variables, folder)


def test_what_a_user_types_reaches_the_pod_exactly(
    template: Mapping[str, Any], tmp_path: Path
) -> None:
    dump, init, step = executed(template, "start", tmp_path)
    assert "dump" in dump[0]
    argv, variables = init
    for number, text in enumerate(TEXTS):
        assert variables[f"METAFLOW_INIT_TEXT{number}"] == text
        assert variables[f"TEXT{number}"] == text
    assert options(argv, "--tag") == options(step[0], "--tag") == list(TEXTS)
    assert options(step[0], "--namespace") == [NAMESPACE]
    assert float(variables["METAFLOW_INIT_SIZE"]) == 1
    assert variables["METAFLOW_INIT_MY_FLAG"] == "true"
    assert json.loads(variables["METAFLOW_INIT_DATA"]) == {"a": ["ü", None]}
    assert variables["METAFLOW_INIT_LATE"] == "at deployment"
    assert variables["N"] == "3"
    assert json.loads(variables["METAFLOW_FLOW_CONFIG_VALUE"]) == {"settings": "kv.settings"}


def test_a_decorator_that_is_added_reaches_the_pod_exactly(
    template: Mapping[str, Any], tmp_path: Path
) -> None:
    [(argv, variables)] = executed(template, "end", tmp_path)
    # Metaflow's parser removes these backslashes (extract_step_decorator_from_decospec).
    assert SPEC in [each.replace('\\"', '"') for each in options(argv, "--with")]
    assert variables["TWO"] == "a $HOME it's {{ x }}"


@pytest.mark.parametrize("text", ["", *TEXTS])
def test_a_given_value_reaches_the_pod_exactly(
    text: str, template: Mapping[str, Any], tmp_path: Path
) -> None:
    given = encode_parameters({"text0": "str"}, {"text0": text}, "usage")
    assert "{{" not in given["text0"]
    _dump, (_argv, variables), _step = executed(template, "start", tmp_path, **given)
    assert variables["METAFLOW_INIT_TEXT0"] == text


def test_a_value_that_is_no_json_reaches_the_pod_as_it_is(
    template: Mapping[str, Any], tmp_path: Path
) -> None:
    """Such as those of `argo submit`, which knows nothing of Metaflow's types."""
    _dump, (_, variables), _step = executed(template, "start", tmp_path, text0="it's $5")
    assert variables["METAFLOW_INIT_TEXT0"] == "it's $5"


def test_argo_takes_no_text_outside_of_commands_for_a_template(
    template: Mapping[str, Any],
) -> None:
    annotations = template["spec"]["podMetadata"]["annotations"]
    assert json.loads(annotations["metaflow/tags"]) == list(TEXTS)
    parameters = json.loads(annotations["metaflow/parameters"])
    assert json.loads(parameters["text6"]["value"]) == TEXTS[6]
    assert not [name for name in ("tags", "parameters") if "{{" in annotations[f"metaflow/{name}"]]
    assert not [value for value in defaults(template).values() if "{{" in value]
    assert template["metadata"]["annotations"][EXACT] == "true"


def test_a_docstring_is_no_template(env: FlowEnvironment, tmp_path: Path) -> None:
    path = tmp_path / "values.py"
    source = flow_text().replace("(FlowSpec):", "(FlowSpec):\n    'Begins {{ and never ends.'")
    path.write_text(source)
    made = compile_template(FlowSource(path), env).template
    annotations = made["spec"]["podMetadata"]["annotations"]
    assert annotations["workflows.argoproj.io/description"] == "Begins { { and never ends."


def test_tags_and_variables_reach_the_pods_of_a_gang_exactly(
    env: FlowEnvironment, tmp_path: Path
) -> None:
    path = tmp_path / "values.py"
    text = flow_text()
    start = text.index("    @environment")
    path.write_text(text[:start] + GANG + text[text.index("if __name__") :])
    made = compile_template(FlowSource(path), env, create_options=[f"--tag={TEXTS[6]}"])
    templates = made.template["spec"]["templates"]
    resource = next(each for each in templates if each["name"] == "work")["resource"]
    jobset = yaml.safe_load(replaced(resource["manifest"], {}))
    pod = jobset["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]
    (ran,) = pod["containers"]
    variables: dict[str, str] = {}
    for each in ran["env"]:
        if each.get("value") is not None:
            variables[each["name"]] = expanded(each["value"], variables)
    assert variables["TEXT"] == TEXTS[6]
    script = expanded(ran["command"][2], variables)
    script = script.replace("/tmp/mf-input-paths", str(tmp_path / "paths"))
    [(argv, _)] = execute(script, {**variables, "MF_WORKER_REPLICA_INDEX": "0"}, tmp_path)
    assert options(argv, "--tag") == [TEXTS[6]]


def described(*decorators: Decorator, step: str = "start", parameter: str = "n") -> FlowDescription:
    steps = {step: StepDescription(step, "start", decorators=decorators)}
    parameters = (ParameterDescription(parameter, has_default=True),)
    return FlowDescription("MyFlow", "s3", steps, parameters)


@pytest.mark.parametrize(
    ("flow", "values", "where"),
    [
        (described(), {"tags": ["\udc80"]}, "--tag"),
        (described(), {"namespace": "x" * 130_000}, "--namespace"),
        (described(), {"identities": {"--new-token": "a\0b"}}, "--new-token"),
        (described(), {"identities": {"METAFLOW_USER": "a {{ b"}}, "METAFLOW_USER"),
        (described(), {"identities": {"--authorize": "a$$b"}}, "--authorize"),
        (described(), {"script": "my flow.py"}, "the file's name"),
        (described(), {"script": "-x.py"}, "the file's name"),
        (described(), {"datastore_root": "s3://bucket/a b"}, "--datastore-root"),
        (described(), {"schedule": "0 0 9 * * *"}, "@schedule"),
        (described(), {"timezone": "Europe/Bärlin"}, "@schedule"),
        (described(parameter="größe"), {}, "parameter größe"),
        (described(step="größe"), {}, "step größe"),
        (described(step="_start"), {}, "step _start"),
        (described(step="x" * 101), {}, f"step {'x' * 40}"),
        (described(Decorator("kubernetes", {"image": "{{x}}"})), {}, "step start"),
        (described(Decorator("kubernetes", {"labels": {"a": "{{x"}})), {}, "step start"),
        (described(Decorator("environment", {"vars": {"A": "a\0b"}})), {}, "step start"),
        (described(), {"options": {"notify_on_error": True}}, "the deployment"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused(
    flow: FlowDescription, values: dict[str, Any], where: str
) -> None:
    [violation] = find_value_violations(flow, DeployValues(**{"script": "flow.py", **values}))
    assert violation.where == where
    assert violation.reason
    assert violation.instead


def test_usual_values_are_no_violation() -> None:
    values = DeployValues("flow.py", "s3://bucket/metaflow", ["a"], schedule="0 9 ? * 2-6 *")
    assert find_value_violations(described(step="load_data"), values) == []


def test_values_that_are_too_large_together_are_refused() -> None:
    types = {"a": "str", "b": "str"}
    large = {"a": "x" * 40_000, "b": "y" * 30_000}
    assert set(encode_parameters(types, large, "usage")) == {"a", "b"}
    with pytest.raises(DevstackError, match="'a'") as refused:
        encode_parameters(types, {"a": large["a"]}, "usage", defaults={"b": "é" * 40_000})
    assert "75000" in refused.value.cause


def test_a_letter_beyond_ascii_takes_its_size_in_json() -> None:
    with pytest.raises(DevstackError):
        encode_parameters({"a": "str"}, {"a": "é" * 20_000}, "usage")


def test_without_devstacks_script_other_characters_are_refused() -> None:
    assert encode_value("str", '{{x}} "y" \'', exact=False)
    for text in ("$", "`", "\\", "é", "\n"):
        with pytest.raises(ValueError, match="unchanged"):
            encode_value("str", text, exact=False)


def test_the_compiler_imports_the_standard_library_only() -> None:
    """Metaflow is imported when it runs; nothing else is in the user's interpreter."""
    root = Path(devstack.__file__).parent.parent
    program = (
        f"import sys; sys.path.append({str(root)!r});"
        " import devstack.deployers.argo.metaflow_compiler"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
