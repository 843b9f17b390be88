from __future__ import annotations

import importlib
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from devstack.errors import DevstackError, ExitStatus
from devstack.flows.arguments import parse_arguments
from devstack.flows.placement import place_steps
from devstack.flows.pod_values import QUOTED_OPTIONS, check_pod_values, find_expansions
from devstack.flows.source import FlowSource, read_source

VALUES = [
    "it's",
    "#a,b:'",
    'say "hi"',
    "a\\b",
    "a\\\\b",
    "a\\",
    "\\$HOME",
    "$HOME",
    "$(id)",
    "a b",
    " a ",
    "#a",
    "a,b:c",
    "a$HOME",
    "a`id`",
    "Málaga",
    "日本",
    "a\nb",
    "a\tb",
    "{x}",
    "{{ ds }}",
    "100%s",
    "!",
    "*",
    "~",
    "a;b",
    "a&b|c>d<e",
    "",
    "--quiet",
    "=",
    "price$$",
    "US$ 5",
    "by $(METAFLOW_USER)",
    "a $(",
    "a $()",
]


def check(*arguments: str, path: str = "my_flow.py", **variables: str) -> DevstackError | None:
    source = FlowSource(Path(path), decorators=frozenset({"project"}))
    try:
        check_pod_values(source, parse_arguments(source, arguments), variables)
    except DevstackError as error:
        return error
    return None


def expand(argument: str) -> str:
    """Replace what the kubelet does (Kubernetes: third_party/forked/golang/expansion)."""
    names = {"METAFLOW_USER": "ann"}
    pattern = re.compile(r"\$\$|\$\(([^)]*)\)")
    return pattern.sub(lambda m: names.get(m[1], m[0]) if m[1] is not None else "$", argument)


def in_pod(value: str) -> str | None:
    """Return what a pod's program gets as the value of an option, or None if there is none."""
    util = importlib.import_module("metaflow.util")
    show = "import json, sys; print(json.dumps(sys.argv[2]))"
    options = " ".join(util.dict_to_cli_options({"tag": value}))
    program = f"{sys.executable} -c '{show}'"
    try:
        # As metaflow/plugins/kubernetes/kubernetes.py splits the command of a pod.
        argv = shlex.split(f'bash -c "{program} {options}"')
    except ValueError:
        return None
    argv = [expand(each) for each in argv]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else None


@pytest.mark.parametrize("option", QUOTED_OPTIONS)
@pytest.mark.parametrize("value", VALUES)
def test_a_value_is_rejected_or_arrives_exactly(option: str, value: str) -> None:
    error = check(option, value)
    if error is None:
        return
    assert (error.code, error.exit_status) == ("FLOW_VALUE_UNSUPPORTED", ExitStatus.USAGE)
    assert f"{option} {value!r}" in error.message


@pytest.mark.parametrize("value", VALUES)
def test_values_are_rejected_if_and_only_if_metaflow_alters_them(value: str) -> None:
    assert (check("--tag", value) is not None) == (in_pod(value) != value)


@pytest.mark.parametrize("typed", [["--tag=it's"], ["run", "--tag", "ok", "--tag", "it's"]])
def test_every_tag_is_checked_however_it_is_written(typed: list[str]) -> None:
    error = check(*typed)
    assert error is not None
    assert '--tag "it\'s"' in error.message


@pytest.mark.parametrize(
    ("typed", "variable", "value", "rejected"),
    [
        ("", "METAFLOW_RUN_TAGS", "ok it's", True),
        ("", "METAFLOW_RUN_TAGS", "ok its", False),
        ("--tag ok", "METAFLOW_RUN_TAGS", "it's", False),
        ("resume", "METAFLOW_RUN_TAGS", "it's", False),
        ("resume", "METAFLOW_RESUME_TAGS", "it's", True),
        ("", "METAFLOW_RUN_USER_NAMESPACE", "it's", True),
        ("--namespace team", "METAFLOW_RUN_USER_NAMESPACE", "it's", False),
        ("resume", "METAFLOW_RESUME_RUN_ID", "a;b", True),
        ("resume --run-id ab", "METAFLOW_RESUME_RUN_ID", "a;b", False),
        ("", "METAFLOW_DECOSPECS", "environment:vars={'A':'x'}", True),
        ("--with retry", "METAFLOW_DECOSPECS", "environment:vars={'A':'x'}", True),
        ("--with retry run", "METAFLOW_DECOSPECS", "environment:vars={'A':'x'}", False),
        ("", "METAFLOW_DEFAULT_DECOSPECS", "environment:vars={'A':'x'}", True),
        ("", "METAFLOW_RUN_DECOSPECS", "environment:vars={'A':'x'}", True),
        ("", "METAFLOW_RUN_DECOSPECS", 'environment:vars={"A":"x"}', False),
        ("", "METAFLOW_RESUME_DECOSPECS", "environment:vars={'A':'x'}", False),
    ],
)
def test_a_value_from_a_variable_is_checked_if_click_uses_it(
    typed: str, variable: str, value: str, rejected: bool
) -> None:
    error = check(*typed.split(), **{variable: value})
    assert (error is not None) == rejected
    if error is not None:
        assert variable in error.message


def test_a_namespace_in_a_variable_replaces_the_users_name() -> None:
    assert check(USER="o'brien", METAFLOW_RUN_USER_NAMESPACE="team") is None


def test_the_users_name_is_checked_unless_a_namespace_replaces_it() -> None:
    error = check(USER="o'brien")
    assert error is not None
    assert "USER" in error.message
    assert error.remedy.startswith("set METAFLOW_USER=name")
    assert check(USER="o'brien", METAFLOW_USER="obrien") is None
    assert check("--namespace", "team", USER="o'brien") is None


@pytest.mark.parametrize("name", ["my flow.py", "it's.py", "$x.py", "a;b.py", "-x.py", "a(1).py"])
def test_a_file_name_that_the_pods_shell_would_split_is_rejected(name: str) -> None:
    error = check(path=f"/some folder/{name}")
    assert error is not None
    assert repr(name) in error.message
    assert error.remedy.startswith("rename the file")


@pytest.mark.parametrize("name", ["flow.py", "my-flow_2.py", "zürich.py"])
def test_other_file_names_are_passed_regardless_of_their_folder(name: str) -> None:
    assert check(path=f"/it's a folder/{name}") is None


def test_decorators_keep_their_json_but_no_single_quotes() -> None:
    assert check("--with", 'environment:vars={"A": "b c"}') is None
    assert check("--with", 'environment:vars={"A": "it\'s"}') is not None
    assert check('--with=environment:vars={"A": "it\'s"}', "run") is not None
    assert check("--with", 'environment:vars={"A": "price$$"}') is not None
    assert check("--with", 'environment:vars={"A": "$(HOME)"}') is not None


def test_the_id_of_a_resumed_run_is_not_quoted() -> None:
    assert check("resume", "--run-id", "a b") is not None
    assert check("resume", "--run-id", "a-b") is None


def test_parameters_are_not_on_the_command_line_of_a_pod() -> None:
    assert check("--text", 'it\'s "$HOME" \\') is None


@pytest.mark.parametrize(
    ("value", "altered"),
    [("pa$$word", True), ("$(HOME)", True), ("$HOME ${HOME} $1 {{ ds }}", False), ("$()", False)],
)
def test_variables_that_the_kubelet_would_alter_are_named(
    tmp_path: Path, value: str, altered: bool
) -> None:
    file = tmp_path / "flow.py"
    file.write_text(
        "from metaflow import FlowSpec, environment, step\n"
        "class F(FlowSpec):\n"
        f"    @environment(vars={{'SECRET': {value!r}}})\n"
        "    @step\n"
        "    def start(self): pass\n"
    )
    source = read_source(file)
    arguments = parse_arguments(source, [])
    on_cluster = find_expansions(source, place_steps(source, arguments, {}, local=False))
    assert ["step start may get another value of SECRET" in each for each in on_cluster] == (
        [True] if altered else []
    )
    assert not find_expansions(source, place_steps(source, arguments, {}, local=True))
