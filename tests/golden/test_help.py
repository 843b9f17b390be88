from __future__ import annotations

import click
import pytest

from devstack.cli.main import COMMANDS, cli, run
from devstack.cli.output import Output
from tests.golden.conftest import Golden


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")


def help_of(capsys: pytest.CaptureFixture[str], *path: str) -> str:
    assert run((*path, "--help"), Output()) == 0
    return capsys.readouterr().out


def test_help(golden: Golden, capsys: pytest.CaptureFixture[str]) -> None:
    golden("help.txt", help_of(capsys))


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command(golden: Golden, capsys: pytest.CaptureFixture[str], name: str) -> None:
    text = help_of(capsys, name)
    context = click.Context(cli)
    command = cli.get_command(context, name)
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            text += "\n" + help_of(capsys, name, below)
    golden(f"help-{name}.txt", text)
