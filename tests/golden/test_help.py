from __future__ import annotations

import re

import click
import pytest

from devstack.cli.main import COMMANDS, cli, run
from devstack.cli.output import Output
from devstack.services import SERVICES
from devstack.services.selection import optional_names
from tests.golden.conftest import Golden

NAMES = re.compile(r"(--without SERVICE +)(?:.|\n)*?\n(?=  --with )")
"""The help that names the services; a new service changes no golden file."""


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
    golden(f"help-{name}.txt", NAMES.sub(r"\1Leave out a service (...)\n", text))


def test_the_help_names_the_services_that_can_be_left_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    # Lines end at spaces and at hyphens.
    text = " ".join(help_of(capsys, "up").split()).replace("- ", "-")
    assert f"Leave out a service ({', '.join(optional_names(SERVICES))}); remembered." in text
