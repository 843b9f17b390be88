"""Invalid settings: every mistake is named at once, and nothing is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from devstack.errors import ExitStatus
from tests.support.commandline import Devstack
from tests.support.refusal import refused


def test_all_mistakes_of_a_file_are_reported_at_once(fresh: Devstack, tmp_path: Path) -> None:
    file = tmp_path / "devstack.toml"
    file.write_text('nodse = 2\nnamespace = "longer-than-fourteen"\nports = { minio = 70000 }\n')
    for command in ("up", "status", "down"):
        refusal = refused(
            fresh, command, "--config", str(file), code="CONFIG_INVALID", status=ExitStatus.USAGE
        )
        assert str(file) in refusal.message
        assert "3 mistakes" in refusal.cause
        assert "'nodse' (did you mean 'nodes'?)" in refusal.cause
        assert "longer than 14 characters" in refusal.cause
        assert "ports.minio: 70000 is not a port from 1 to 65535" in refusal.cause
    assert not fresh.directory.exists()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("nodes = = 2\n", "line 1"),
        ("nodes = true\n", "nodes: True is not a number"),
        ("[ports]\nminio = '9000'\n", "ports.minio: '9000' is not a port"),
    ],
)
def test_a_syntax_error_is_reported_with_its_position(
    fresh: Devstack, tmp_path: Path, text: str, names: str
) -> None:
    file = tmp_path / "devstack.toml"
    file.write_text(text)
    argv = ("up", "--dry-run", "--config", str(file))
    assert names in refused(fresh, *argv, code="CONFIG_INVALID", status=ExitStatus.USAGE).cause


def test_a_missing_file(fresh: Devstack) -> None:
    argv = ("up", "--config", "nowhere.toml")
    refusal = refused(fresh, *argv, code="CONFIG_INVALID", status=ExitStatus.USAGE)
    assert "there is no such file" in refusal.cause


def test_mistakes_on_the_command_line(fresh: Devstack) -> None:
    argv = ("up", "--nodes", "0", "--namespace", "Ünfit", "--timeout", "-1")
    refusal = refused(fresh, *argv, code="CONFIG_INVALID", status=ExitStatus.USAGE)
    assert "3 mistakes" in refusal.cause


def test_a_port_that_no_service_has(fresh: Devstack) -> None:
    argv = ("up", "--port", "mini=9000")
    refusal = refused(fresh, *argv, code="PORT_UNKNOWN", status=ExitStatus.USAGE)
    assert "minio" in refusal.text


def test_a_misspelt_command_and_option_suggest_the_closest_match(fresh: Devstack) -> None:
    for argv, hint in ((("statsu",), "status"), (("up", "--nodse", "2"), "--nodes")):
        done = fresh.run(*argv, check=False)
        assert done.returncode == ExitStatus.USAGE
        assert hint in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["logs", "env", "shell", "kubectl", "run"])
def test_commands_that_need_a_stack_name_the_command_that_creates_one(
    fresh: Devstack, command: str
) -> None:
    refusal = refused(fresh, command, code="STACK_DOWN", status=ExitStatus.ENVIRONMENT)
    assert "there is no stack 'fresh'" in refusal.cause
    assert refusal.remedy == "devstack up --name fresh"
