"""The table of environment variables: complete, and applied."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from devstack.environment_variables import (
    FLOW_PROGRAMS,
    TOOL_PROGRAMS,
    VARIABLES,
    always_overridden,
    classify,
    overridden,
    tool_environment,
)
from devstack.environment_variables.variable import Policy, Variable
from devstack.flows.environment import FlowEnvironment
from devstack.paths import project_file
from devstack.process import SubprocessRunner
from tests.fakes.api import FakeApi

OVERRIDDEN = [each for each in VARIABLES if each.policy is Policy.OVERRIDDEN]
USER_VALUE = "users-value"
PRINT = "import json, os; print(json.dumps(dict(os.environ)))"


def example(variable: Variable) -> str:
    """Return a name that matches the row."""
    return variable.name.replace("*", "ANYTHING")


def sources(package: str) -> list[Path]:
    """Return the Python files of an installed package."""
    found = importlib.util.find_spec(package)
    assert found
    assert found.origin
    return [path for path in Path(found.origin).parent.rglob("*.py") if "_vendor" not in path.parts]


def literals(package: str, pattern: str) -> set[str]:
    """Return the string literals of a package's sources that match ``pattern`` entirely."""
    literal = re.compile(rf"""["']({pattern})["']""")
    return {name for path in sources(package) for name in literal.findall(path.read_text("utf-8"))}


def unclassified(names: set[str]) -> list[str]:
    """Return the names without a row."""
    return sorted(name for name in names if classify(name) is None)


def test_no_variable_has_two_rows() -> None:
    names = [each.name for each in VARIABLES]
    assert len(names) == len(set(names))
    assert all(each.effect for each in VARIABLES)


def test_every_row_is_reachable() -> None:
    assert [each.name for each in VARIABLES if classify(example(each)) != each] == []


def test_every_setting_of_metaflow_is_classified() -> None:
    import metaflow.metaflow_config
    from metaflow import metaflow_config_funcs

    assert metaflow.metaflow_config
    assert unclassified(set(metaflow_config_funcs._all_configs)) == []


def test_every_variable_in_metaflows_sources_is_classified() -> None:
    names = literals("metaflow", r"(?:METAFLOW|MF)_[A-Z0-9_]+")
    read = re.compile(r"""(?:environ(?:\.get)?|getenv)[\[(]\s*["'](METAFLOW\w+|MF_\w+|AWS_\w+)""")
    for path in sources("metaflow"):
        names |= set(read.findall(path.read_text("utf-8")))
    assert len(names) > 100
    assert unclassified(names) == []


def decorator_options() -> set[str]:
    """Return the variables of the options that a flow's decorators add.

    Both names are read: the option's own (``add_decorator_options``), and click's.
    """
    from metaflow.plugins import FLOW_DECORATORS

    options = [option.upper() for each in FLOW_DECORATORS for option in each.options]
    return {f"{prefix}_{option}" for prefix in ("METAFLOW", "METAFLOW_FLOW") for option in options}


def test_the_options_of_decorators_do_not_come_from_variables() -> None:
    names = decorator_options()
    assert {"METAFLOW_BRANCH", "METAFLOW_FLOW_PRODUCTION", "METAFLOW_TRIGGER"} <= names
    assert overridden(names, {"Metaflow"}) == sorted(names)


def test_every_option_of_metaflows_command_line_is_classified() -> None:
    from metaflow import cli
    from metaflow.cli_components import run_cmds

    options = {f"METAFLOW_{each.name}" for each in cli.start.params}
    options |= {f"METAFLOW_RUN_{each.name}" for each in run_cmds.run.params}
    options |= {f"METAFLOW_RESUME_{each.name}" for each in run_cmds.resume.params}
    names = {name.upper() for name in options} | decorator_options()
    assert {"METAFLOW_DATASTORE", "METAFLOW_ENVIRONMENT", "METAFLOW_RUN_TAGS"} <= names
    assert unclassified(names) == []


@pytest.mark.parametrize("package", ["botocore", "boto3", "s3transfer"])
def test_every_variable_in_botos_sources_is_classified(package: str) -> None:
    names = literals(package, r"(?:AWS|BOTO|BOTOCORE)_[A-Z0-9_]+")
    assert names or package != "botocore"
    assert unclassified(names) == []


def test_the_options_of_pip_that_choose_a_folder_or_packages_are_overridden() -> None:
    from pip._internal.commands import create_command

    parser = create_command("install").parser
    flags = {flag for option in parser.option_list_all for flag in option._long_opts}
    names = {"PIP_" + flag.removeprefix("--").upper().replace("-", "_") for flag in flags}
    redirecting = {"PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_CONSTRAINT"}
    assert redirecting <= names
    assert redirecting <= set(overridden(names, {"pip"}))
    assert unclassified(names) == []


@pytest.mark.parametrize(
    "variable", [each for each in OVERRIDDEN if each.program in FLOW_PROGRAMS], ids=example
)
def test_an_overridden_variable_does_not_reach_a_flow(
    variable: Variable, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = example(variable)
    monkeypatch.setenv(name, USER_VALUE)
    unset = overridden([name], FLOW_PROGRAMS)
    env = FlowEnvironment(
        {}, Path(sys.executable), "metaflow", FakeApi().client(), Path(), frozenset(unset)
    )
    assert name not in env.variables()
    assert tool_environment(env.changes()).get(name) is None


@pytest.mark.parametrize(
    "variable", [each for each in OVERRIDDEN if each.program in TOOL_PROGRAMS], ids=example
)
def test_an_overridden_variable_does_not_reach_a_tool(
    variable: Variable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(example(variable), USER_VALUE)
    assert tool_environment().get(example(variable)) == variable.value


@pytest.mark.parametrize(
    "name",
    [
        "DOCKER_HOST",
        "DOCKER_CONFIG",
        "DOCKER_CONTEXT",
        "PIP_INDEX_URL",
        "PIP_CERT",
        "UV_INDEX_URL",
        "GOPROXY",
        "KUBECONFIG",
        "HTTPS_PROXY",
        "PYTHONPATH",
        "METAFLOW_USER",
    ],
)
def test_a_kept_variable_reaches_tools(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "theirs")
    assert tool_environment()[name] == "theirs"


def test_a_program_sees_neither_overridden_nor_unset_variables(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("DOCKER_DEFAULT_PLATFORM", "KIND_EXPERIMENTAL_PROVIDER", "THEIRS", "CDPATH"):
        monkeypatch.setenv(name, "podman")
    argv = ["sh", "-c", 'echo "$DOCKER_DEFAULT_PLATFORM$CDPATH$KIND_EXPERIMENTAL_PROVIDER$THEIRS"']
    runner = SubprocessRunner()
    assert runner.run(argv).stdout == "dockerpodman\n"
    assert runner.run(argv, env={"THEIRS": None, "CDPATH": "ours"}).stdout == "oursdocker\n"


def test_the_page_on_environment_variables_is_current() -> None:
    script = project_file("scripts", "generate-environment")
    done = subprocess.run(
        [sys.executable, str(script), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_scripts_unset_what_would_make_pip_install_elsewhere() -> None:
    text = project_file("scripts", "environment").read_text()
    block = text[text.index("unset PIP_TARGET") : text.index("# PIP_USER also")]
    # --require-hashes and --no-build-isolation are what the script passes itself.
    own = {"PIP_USER", "PIP_REQUIRE_HASHES", "PIP_NO_BUILD_ISOLATION"}
    assert set(block.split()) >= set(always_overridden("pip")) - own
    assert "PIP_USER=0" in text
