"""What users type reaches a pod of a DAG exactly, or is refused before anything is uploaded.

The pod's command is executed here: with Airflow's templates rendered, expanded as the
kubelet does, and with a program in place of Python that records what it gets.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import devstack
from devstack.deployers.airflow.literals import label_value, template_literal
from devstack.deployers.airflow.unsupported_values import (
    DeployValues,
    check_dag_id,
    find_value_violations,
)
from devstack.deployers.flow_description import Decorator, FlowDescription, StepDescription
from devstack.errors import DevstackError
from devstack.flows.environment import FlowEnvironment
from devstack.flows.source import FlowSource
from tests.fakes.s3 import fake_s3
from tests.support.dag_compilation import compile_environment, compile_source, dag_config
from tests.support.engine_values import (
    NAMESPACE,
    SPEC,
    TEXTS,
    USER,
    Call,
    execute,
    expanded,
    flow_text,
    options,
)

FLOW = flow_text("größe")


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with fake_s3() as address:
        yield address


@pytest.fixture
def env(tmp_path: Path, s3: str) -> FlowEnvironment:
    return compile_environment(tmp_path, s3, METAFLOW_USER=USER)


def source_of(folder: Path, name: str = "values.py") -> FlowSource:
    path = folder / name
    path.write_text(FLOW, encoding="utf-8")
    return FlowSource(path)


@pytest.fixture(scope="module")
def dag(s3: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A DAG with all texts as parameters, variables and tags."""
    folder = tmp_path_factory.mktemp("dag")
    env = compile_environment(folder, s3, METAFLOW_USER=USER)
    compiled = compile_source(
        source_of(folder, "my $HOME 'é.py"),
        env,
        create_options=[*(f"--tag={text}" for text in TEXTS), f"--namespace={NAMESPACE}"],
        metaflow_options=["--with", SPEC],
    )
    return dag_config(compiled)


def rendered(template: str, params: Mapping[str, Any]) -> str:
    """Render a template as Jinja does, as far as DAG files use it."""

    def evaluate(match: re.Match[str]) -> str:
        expression = match[1].strip()
        if expression.startswith('"'):
            return str(ast.literal_eval(expression))
        if parameter := re.match(r'params\[("[^]]*")\] \| string \| replace\(', expression):
            return str(params[ast.literal_eval(parameter[1])]).replace("$", "$$")
        return "template"

    found = re.sub(r"\{\{((?:[^\"}]|\"(?:[^\"\\]|\\.)*\"|\}(?!\}))*)\}\}", evaluate, template)
    # Jinja drops one newline at the end of a template.
    return found[:-1] if template.endswith("\n") else found


def pod_variables(task: dict[str, Any], params: Mapping[str, Any]) -> dict[str, str]:
    variables: dict[str, str] = {"HOSTNAME": "wrong"}
    for each in task["env_vars"]:
        variables[each["name"]] = expanded(rendered(each["value"], params), variables)
    return variables


def executed(task: dict[str, Any], params: Mapping[str, Any], folder: Path) -> list[Call]:
    """Execute the pod's command without its setup; return arguments and variables of each flow."""
    variables = pod_variables(task, params)
    return execute(expanded(rendered(task["cmds"][2], params), variables), variables, folder)


def test_what_a_user_types_reaches_the_pod_exactly(dag: dict[str, Any], tmp_path: Path) -> None:
    task = dag["states"]["start"]["operator_args"]
    params = {each["name"]: each["default"] for each in dag["metaflow_params"]}
    dump, init, step = executed(task, params, tmp_path)
    assert {argv[0] for argv, _ in (dump, init, step)} == {"my $HOME 'é.py"}
    argv, variables = init
    for number, text in enumerate(TEXTS):
        assert options(argv, f"--text{number}") == [text]
        assert variables[f"TEXT{number}"] == text
    assert options(argv, "--tag") == options(step[0], "--tag") == list(TEXTS)
    assert options(step[0], "--namespace") == [NAMESPACE]
    assert options(argv, "--größe") == ["1.0"]
    assert options(argv, "--my-flag") == ["True"]
    assert json.loads(*options(argv, "--data")) == {"a": ["ü", None]}
    assert options(argv, "--late") == ["at deployment"]
    assert variables["N"] == "3"
    assert variables["METAFLOW_USER"] == USER
    assert json.loads(variables["METAFLOW_FLOW_CONFIG_VALUE"]) == {"settings": "kv.settings"}


def test_a_decorator_that_is_added_reaches_the_pod_exactly(
    dag: dict[str, Any], tmp_path: Path
) -> None:
    [(argv, variables)] = executed(dag["states"]["end"]["operator_args"], {}, tmp_path)
    # Metaflow's parser removes these backslashes (extract_step_decorator_from_decospec).
    assert SPEC in [each.replace('\\"', '"') for each in options(argv, "--with")]
    assert variables["TWO"] == "a $HOME it's {{ x }}"


@pytest.mark.parametrize("text", ["", *TEXTS])
def test_a_given_value_reaches_the_pod_exactly(
    text: str, dag: dict[str, Any], tmp_path: Path
) -> None:
    params = {each["name"]: each["default"] for each in dag["metaflow_params"]} | {"text0": text}
    task = dag["states"]["start"]["operator_args"]
    _dump, (argv, _variables), _step = executed(task, params, tmp_path)
    assert options(argv, "--text0") == [text]


def test_parameters_have_the_flows_types(dag: dict[str, Any]) -> None:
    types = {each["name"]: (each["type"], each["default"]) for each in dag["metaflow_params"]}
    assert {name: types[name] for name in ("größe", "my-flag", "data", "late", "text0")} == {
        "größe": ("number", 1.0),
        "my-flag": ("boolean", True),
        "data": ("string", '{"a": ["ü", null]}'),
        "late": ("string", "at deployment"),
        "text0": ("string", TEXTS[0]),
    }


@pytest.mark.parametrize(
    ("user", "label"),
    [
        ("jane.doe@corp.example", "jane.doe-corp.example"),
        ("Jane Doe", "Jane-Doe"),
        ("CORP\\jane", "CORP-jane"),
        ("josé", "jos"),
        ("x" * 70, "x" * 63),
        ("_jane_", "jane"),
        ("李雷", ""),
        ("root", "root"),
    ],
)
def test_a_label_is_valid(user: str, label: str) -> None:
    assert label_value(user) == label


def test_texts_that_are_no_templates_stay_readable() -> None:
    assert template_literal("s3://bucket/a b,c=1") == "s3://bucket/a b,c=1"


def described(
    *decorators: Decorator, step: str = "start", selector: Any = None, **variables: str
) -> FlowDescription:
    environment = Decorator("environment", {"vars": variables})
    kubernetes = Decorator("kubernetes", {"node_selector": selector})
    steps = {step: StepDescription(step, "start", decorators=(environment, kubernetes))}
    return FlowDescription("MyFlow", "s3", steps, decorators=decorators)


SENSOR = "airflow_s3_key_sensor"


@pytest.mark.parametrize(
    ("flow", "values", "where"),
    [
        (described(), {"tags": ["x" * 101]}, "--tag"),
        (described(), {"tags": [""]}, "--tag"),
        (described(), {"tags": [str(number) for number in range(51)]}, "--tag"),
        (described(), {"tags": ["\udc80"]}, "--tag"),
        (described(), {"pool": "x" * 257}, "--worker-pool"),
        (described(), {"texts": {"--namespace": "x" * 130_000}}, "--namespace"),
        (described(), {"texts": {"--new-token": "a\0b"}}, "--new-token"),
        (described(), {"datastore_root": "s3://bucket/a b"}, "--datastore-root"),
        (described(), {"user": "\udc80"}, "METAFLOW_USER"),
        (described(), {"script": "-x.py"}, "the file's name"),
        (described(), {"schedule": "every tuesday"}, "--schedule"),
        (described(Decorator("schedule", {"cron": "0 0 9 * * *"})), {}, "@schedule"),
        (described(step="x" * 221), {}, f"step {'x' * 40}..."),
        (described(**{"A B": "x"}), {}, "step start"),
        (described(ONE="x" * 130_000), {}, "step start"),
        (described(selector={"a b": "c"}), {}, "step start"),
        (described(selector={"a": "{{ c }}"}), {}, "step start"),
        (described(selector={"a": "c" * 64}), {}, "step start"),
        (described(ONE="a\0b"), {}, "step start"),
        (described(Decorator(SENSOR, {"name": "start"})), {}, f"@{SENSOR}"),
        (described(Decorator(SENSOR, {"name": "a b"})), {}, f"@{SENSOR}"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused(
    flow: FlowDescription, values: dict[str, Any], where: str
) -> None:
    [violation] = find_value_violations(flow, DeployValues(**{"script": "flow.py", **values}))
    assert violation.where == where
    assert violation.reason
    assert violation.instead


def test_a_label_of_a_node_is_no_violation() -> None:
    labels = {"node.kubernetes.io/instance-type": "p4d.24xlarge", "zone": "", "a": "b"}
    assert find_value_violations(described(selector=labels), DeployValues("flow.py")) == []


@pytest.mark.parametrize("dag_id", ["x" * 251, "a b", ".hidden", "-x", "a/b", "", "shop.user.J é"])
def test_an_id_that_airflow_does_not_accept_is_refused(dag_id: str) -> None:
    [violation] = check_dag_id(dag_id, is_project=True)
    assert "METAFLOW_USER" in violation.instead


@pytest.mark.parametrize("dag_id", ["MyFlow", "shop.user.jane.MyFlow", "_x", "FlößFlow"])
def test_an_id_that_airflow_accepts_is_no_violation(dag_id: str) -> None:
    assert check_dag_id(dag_id, is_project=False) == []


@pytest.mark.parametrize(
    ("added", "options", "cause"),
    [
        ("", {"schedule": "every tuesday"}, "--schedule: 'every tuesday': it has 2 fields"),
        ("@schedule(cron='0 0 9 * * *')", {}, "@schedule: '0 0 9 * * *': it has six fields"),
        ("@project(name='shop')", {}, "the DAG's id: 'shop.user.Jané {{ x }} $HOME.ValuesFlow'"),
        ("", {"name": "a b"}, "the DAG's id: 'a b'"),
    ],
)
def test_a_refused_value_ends_the_compilation(
    added: str, options: dict[str, Any], cause: str, tmp_path: Path, env: FlowEnvironment
) -> None:
    source = source_of(tmp_path)
    source.path.write_text(FLOW.replace("class ValuesFlow", f"{added}\nclass ValuesFlow"))
    with pytest.raises(DevstackError) as refused:
        compile_source(source, env, **options)
    assert refused.value.code == "FLOW_UNSUPPORTED"
    assert refused.value.cause.startswith(cause)


def test_the_compiler_imports_the_standard_library_only() -> None:
    """Metaflow is imported when it runs; nothing else is in the user's interpreter."""
    root = Path(devstack.__file__).parent.parent
    program = (
        f"import sys; sys.path.append({str(root)!r});"
        " import devstack.deployers.airflow.metaflow_compiler"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_flows_folder_may_contain_a_module_of_devstacks_name(
    tmp_path: Path, env: FlowEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "devstack").mkdir()
    (tmp_path / "devstack" / "__init__.py").write_text("raise SystemExit('the wrong devstack')")
    monkeypatch.chdir(tmp_path)
    source = source_of(tmp_path)
    check = f"import sys\nassert sys.path[0] == {str(tmp_path)!r}, sys.path\n"
    source.path.write_text(check + FLOW)
    assert compile_source(source, env).dag_id == "ValuesFlow"
