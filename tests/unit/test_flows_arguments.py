from __future__ import annotations

import importlib
from pathlib import Path
from textwrap import dedent

import pytest

from devstack.flows.arguments import parse_arguments
from devstack.flows.metaflow_options import (
    DECORATOR_OPTIONS,
    RESUME_OPTIONS,
    RUN_OPTIONS,
    TOP_LEVEL_OPTIONS,
)
from devstack.flows.source import FlowSource, read_source

PLAIN = FlowSource(Path("my_flow.py"))


def argv(*arguments: str, source: FlowSource = PLAIN) -> list[str]:
    return parse_arguments(source, arguments).argv


@pytest.mark.parametrize(
    ("typed", "passed"),
    [
        ("", "run"),
        ("--n 3", "run --n 3"),
        ("--package-suffixes .sql", "--package-suffixes .sql run"),
        ("--package-suffixes=.sql run", "--package-suffixes=.sql run"),
        ("run --package-suffixes .sql", "--package-suffixes .sql run"),
        (
            "--package-suffixes .sql --no-pylint --max-workers 2",
            "--package-suffixes .sql --no-pylint run --max-workers 2",
        ),
        ("--package-suffixes .sql resume", "--package-suffixes .sql resume"),
        ("resume train --quiet", "--quiet resume train"),
        ("--quiet --n 3", "--quiet run --n 3"),
        ("--config settings run.json --n 3", "--config settings run.json run --n 3"),
        ("run --config-value settings {} --n 3", "--config-value settings {} run --n 3"),
        ("--with retry --n 3", "run --with retry --n 3"),
        ("--with retry run --with catch", "--with retry run --with catch"),
        ("--tag run --environment local", "--environment local run --tag run"),
        ("run --text --quiet", "run --text --quiet"),
        ("run --text=--quiet", "run --text=--quiet"),
        ("--n -5", "run --n -5"),
        ("--n 3 too-many", "run --n 3 too-many"),
        ("--tag a run --n 3", "run --tag a --n 3"),
    ],
)
def test_options_are_passed_where_metaflow_expects_them(typed: str, passed: str) -> None:
    parsed = parse_arguments(PLAIN, typed.split())
    assert parsed.argv == passed.split()
    assert parsed.starts_run


@pytest.mark.parametrize(
    "typed",
    [
        "show",
        "check --warnings",
        "help",
        "--quiet dump 17/start",
        "tag add --run-id 17 run",
        "card view start",
        "logs 17/start --stderr",
        "spin train --quiet",
        "output-raw --json",
        "output-dot",
        "argo-workflows create --with retry",
        "--environment local --branch b airflow create dag.py --tag --quiet",
        "no-such-command",
    ],
)
def test_commands_that_start_no_run_are_passed_as_they_are(typed: str) -> None:
    decorated = FlowSource(Path("my_flow.py"), decorators=frozenset({"project"}))
    parsed = parse_arguments(decorated, typed.split())
    assert parsed.argv == typed.split()
    assert not parsed.starts_run


@pytest.mark.parametrize(
    ("typed", "passed"),
    [
        ("--help", "run --help"),
        ("resume --help", "resume --help"),
        ("--quiet --n 3 --help", "--quiet run --n 3 --help"),
    ],
)
def test_help_is_that_of_the_command_and_starts_no_run(typed: str, passed: str) -> None:
    parsed = parse_arguments(PLAIN, typed.split())
    assert parsed.argv == passed.split()
    assert not parsed.starts_run


def test_a_parameter_whose_value_looks_like_help_starts_a_run() -> None:
    assert parse_arguments(PLAIN, ["--text", "--help"]).starts_run


def test_a_parameter_named_like_an_option_of_metaflow_stays_a_parameter(tmp_path: Path) -> None:
    path = tmp_path / "my_flow.py"
    path.write_text(
        dedent("""
        @project(name="p")
        class MyFlow(FlowSpec):
            where = Parameter("environment")
            table = metaflow.IncludeFile(name="mode")
        """)
    )
    source = read_source(path)
    typed = ["run", "--environment", "prod", "--mode", "a", "--branch", "b", "--production"]
    passed = ["--branch", "b", "--production", "run", "--environment", "prod", "--mode", "a"]
    assert argv(*typed, source=source) == passed


def test_an_option_of_a_decorator_that_the_flow_lacks_is_a_parameter() -> None:
    assert argv("--branch", "b") == ["run", "--branch", "b"]


@pytest.mark.parametrize(
    ("typed", "passed"),
    [
        ("--branch b run --n 3", "--branch b run --n 3"),
        ("--production run --n 3", "--production run --n 3"),
        ("--quiet --production resume train", "--quiet --production resume train"),
        ("--production=1 run", "--production=1 run"),
        ("--branch run run", "--branch run run"),
        ("--tag a --branch b run", "--branch b run --tag a"),
        ("--with retry --branch b run", "--with retry --branch b run"),
    ],
)
def test_with_a_command_an_option_that_is_not_known_stays_before_it(
    typed: str, passed: str
) -> None:
    # A decorator of another module, or of an extension, may add options to the flow.
    assert argv(*typed.split()) == passed.split()


def test_a_parameter_that_stands_before_the_command_is_passed_after_it() -> None:
    source = FlowSource(Path("my_flow.py"), parameters=frozenset({"n", "text"}))
    assert argv("--n", "3", "run", source=source) == ["run", "--n", "3"]
    assert argv("--text", "run", source=source) == ["run", "--text", "run"]


def _options(command: object) -> dict[str, int]:
    options = {}
    for parameter in command.params:  # type: ignore[attr-defined]
        for option in (*parameter.opts, *parameter.secondary_opts):
            if option.startswith("-"):
                options[option] = 0 if parameter.is_flag else parameter.nargs
    return options


def test_the_tables_of_options_are_those_of_the_installed_metaflow() -> None:
    cli = importlib.import_module("metaflow.cli")
    commands = importlib.import_module("metaflow.cli_components.run_cmds")
    plugins = importlib.import_module("metaflow.plugins")
    # Metaflow adds these two to a flow that has a Config, see metaflow.user_configs.
    top_level = {**_options(cli.start), "--config": 2, "--config-value": 2}
    assert dict(TOP_LEVEL_OPTIONS) == top_level
    assert dict(RUN_OPTIONS) == {**_options(commands.run), "--help": 0}
    assert dict(RESUME_OPTIONS) == {**_options(commands.resume), "--help": 0}
    assert {name: dict(added) for name, added in DECORATOR_OPTIONS.items()} == {
        decorator.name: {
            f"--{option}": 0 if settings.get("is_flag") else 1
            for option, settings in decorator.options.items()
        }
        for decorator in plugins.FLOW_DECORATORS
        if decorator.options
    }
