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
from devstack.samples.catalogue import ARGO_SAMPLES


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


def test_the_samples_for_argo_are_listed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["run", "--argo", "--list", "--json"], Output()) == ExitStatus.OK
    samples = json.loads(capsys.readouterr().out)["data"]["samples"]
    assert [each["name"] for each in samples] == [sample.name for sample in ARGO_SAMPLES]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--argo", "--airflow"), "choose one of --airflow and --argo"),
        (("--argo", "--local"), "--local does not apply to --argo"),
    ],
)
def test_options_that_exclude_each_other_are_refused(
    home: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], message: str
) -> None:
    assert run(["run", *options, "--json"], Output()) == ExitStatus.USAGE
    assert message in json.loads(capsys.readouterr().out)["error"]["message"]


def test_a_sample_of_another_engine_is_unknown(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["run", "--argo", "linear", "--json"], Output()) == ExitStatus.USAGE
    error = json.loads(capsys.readouterr().out)["error"]
    assert (error["code"], "argo-linear" in error["remedy"]) == ("FLOW_UNKNOWN", True)
