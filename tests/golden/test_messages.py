from __future__ import annotations

from pathlib import Path

import pytest

from devstack.cli import display
from devstack.cli.display import PlainDisplay
from devstack.cli.main import run
from devstack.cli.output import Output
from devstack.errors import DevstackError
from tests.fakes.runner import FakeClock
from tests.golden.conftest import Golden

BAD_SETTINGS = 'provder = "kind"\nnodes = 0\nnamespace = "metaflow-of-the-team"\n'


def shown(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    run(argv, Output())
    captured = capsys.readouterr()
    return captured.out + captured.err


@pytest.fixture
def empty_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_auto_without_docker_recommends_the_next_step(
    golden: Golden,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    empty_path: None,
    flags: tuple[str, ...],
) -> None:
    monkeypatch.setattr(display.time, "monotonic", FakeClock().now)
    text = shown(capsys, "up", *flags)
    golden("no-docker.json" if flags else "no-docker.txt", text)


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_three_mistakes_in_the_settings(
    golden: Golden, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...]
) -> None:
    Path("devstack.toml").write_text(BAD_SETTINGS)
    text = shown(capsys, "up", *flags)
    golden("three-mistakes.json" if flags else "three-mistakes.txt", text)


MISTYPED = {
    "option": ("up", "--witout", "airflow"),
    "command": ("staus",),
    "subcommand": ("airflow", "triger", "MyFlow"),
    "provider": ("up", "--provider", "knd"),
    "sample": ("run", "hallo"),
}


@pytest.mark.parametrize("what", MISTYPED)
def test_a_typo_suggests_the_closest_match(
    golden: Golden, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    golden(f"mistyped-{what}.txt", shown(capsys, *MISTYPED[what]))


def test_a_mistyped_option_suggests_the_closest_match_in_json(
    golden: Golden, capsys: pytest.CaptureFixture[str]
) -> None:
    golden("mistyped-option.json", shown(capsys, "up", "--witout", "airflow", "--json"))


def test_a_tool_that_failed(golden: Golden, capsys: pytest.CaptureFixture[str]) -> None:
    error = DevstackError(
        "cannot create the kind cluster 'devstack-ci'",
        cause="failed to init node with kubeadm",
        remedy="see `devstack doctor`; `devstack down` removes what was created",
        code="KIND_FAILED",
        output="\n".join(f"line {number}" for number in range(1, 21)),
    )
    Output().fail(error)
    golden("tool-failed.txt", capsys.readouterr().err)


def test_plain_progress(
    golden: Golden, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock()
    monkeypatch.setattr(display.time, "monotonic", clock.now)
    progress = PlainDisplay()
    progress.start("Bring up the kind cluster")
    for note in ("Ensuring node image", "Preparing nodes", "Starting control-plane"):
        progress.note(note)
        clock.sleep(8)
    progress.warn("the disk is nearly full")
    progress.done("Bring up the kind cluster")
    progress.start("Apply minio")
    progress.done("Apply minio", "unchanged")
    progress.start("Wait for minio")
    clock.sleep(125.5)
    progress.done("Wait for minio", "failed")
    golden("progress.txt", capsys.readouterr().err)
