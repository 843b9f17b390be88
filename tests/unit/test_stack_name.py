"""The commands of messages name the stack that they are about."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from devstack.cli.main import run
from devstack.cli.output import Output
from devstack.cli.stack_name import add_stack_name


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "`devstack pvc create moon 10Gi` creates it",
            "`devstack pvc create --name ci moon 10Gi` creates it",
        ),
        ("devstack node list", "devstack node list --name ci"),
        (
            "`devstack kubectl --admin create secret`; or run `devstack up` if",
            "`devstack kubectl --name ci --admin create secret`; or run `devstack up --name ci` if",
        ),
        ("write into devstack.toml and run `devstack up`:", None),
        ("devstack down --name other", "devstack down --name other"),
        ("devstack status --all", "devstack status --all"),
        ("devstack images build (`up` does it too)", "devstack images build (`up` does it too)"),
        ("devstack images login docker.io", "devstack images login --name ci docker.io"),
        ("the devstack up-to-date check", "the devstack up-to-date check"),
    ],
)
def test_commands_get_the_option_and_prose_does_not(text: str, expected: str | None) -> None:
    expected = expected or "write into devstack.toml and run `devstack up --name ci`:"
    assert add_stack_name(text, "ci") == expected
    assert add_stack_name(text, "") == text
    assert add_stack_name(text, "Not A Name") == text


def test_an_error_of_a_named_stack_has_commands_for_it(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["node", "list", "--name", "ci", "--json"], Output())
    remedy = json.loads(capsys.readouterr().out)["error"]["remedy"]
    assert "--name ci" in remedy
    assert remedy.count("--name") == 1


def test_a_name_of_the_environment_is_not_repeated(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    output = Output()
    monkeypatch.setenv("DEVSTACK_NAME", "ci")
    run(["node", "list", "--json"], output)
    assert output.with_stack("devstack up") == "devstack up"
    run(["node", "list", "--json", "--name", "ci"], output)
    assert output.with_stack("devstack up") == "devstack up --name ci"
