"""Options of `devstack argo`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from metaflow.plugins.argo import argo_workflows_cli

from devstack.cli.argo.notifications import FLAGS, VALUES
from devstack.cli.main import run
from devstack.cli.output import Output
from devstack.deployers.argo.notifications import OPTIONS
from devstack.errors import ExitStatus


def test_a_limit_of_a_wait_needs_the_wait(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["argo", "trigger", "MyFlow", "--timeout", "9", "--json"]
    assert run(argv, Output()) == ExitStatus.USAGE
    assert "add --wait" in json.loads(capsys.readouterr().out)["error"]["message"]
    assert run([*argv, "--wait"], Output()) == ExitStatus.ENVIRONMENT
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "STACK_DOWN"


@pytest.mark.parametrize(
    "arguments",
    [
        ("--notify-on-error",),
        ("--notify-slack-webhook-url=https://example.invalid/x",),
        ("--", "--notify-pager-duty-integration-key", "x"),
        ("--", "--incident-io-metadata", "a=b"),
    ],
)
def test_notifications_are_refused_with_an_explanation(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    argv = ["argo", "deploy", "--json", str(tmp_path / "my_flow.py"), *arguments]
    assert run(argv, Output()) == ExitStatus.USAGE
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == "NOTIFICATIONS_UNSUPPORTED"
    assert "agent" in error["cause"]
    assert "trigger --wait" in error["remedy"]
    assert "example.invalid" not in json.dumps(error)


def test_every_option_for_notifications_is_known() -> None:
    assert set(OPTIONS) == {*FLAGS, *VALUES}
    create = argo_workflows_cli.create.params
    metaflows = {option for each in create for option in each.opts}
    assert set(OPTIONS) == {each for each in metaflows if "notify" in each or "incident" in each}
