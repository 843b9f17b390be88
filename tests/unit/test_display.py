from __future__ import annotations

import io
import sys

import pytest

from devstack.cli import display
from devstack.cli.display import LiveDisplay, PlainDisplay, choose_display
from devstack.cli.output import Output
from tests.fakes.runner import FakeClock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    fake = FakeClock()
    monkeypatch.setattr(display.time, "monotonic", fake.now)
    return fake


def terminal(monkeypatch: pytest.MonkeyPatch, kind: str = "xterm-256color") -> io.StringIO:
    """Put a terminal in the place of standard error; not a fixture, which pytest undoes."""
    screen = io.StringIO()
    screen.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", kind)
    monkeypatch.delenv("NO_COLOR", raising=False)
    return screen


def test_away_from_a_terminal_a_step_is_one_line(
    clock: FakeClock, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = PlainDisplay(10)
    shown.start("Bring up the kind cluster")
    shown.note("Ensuring node image")
    clock.sleep(3.25)
    shown.done("Bring up the kind cluster")
    shown.start("Apply minio")
    shown.done("Apply minio", "unchanged")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        "  ✓ Bring up the kind cluster                         3.2 s\n"
        "  = Apply minio                                       0.0 s  unchanged\n"
    )


def test_away_from_a_terminal_a_slow_step_says_now_and_then_what_it_does(
    clock: FakeClock, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = PlainDisplay(10)
    shown.start("Get the images")
    for second in range(25):
        shown.note(f"building {second}")
        clock.sleep(1)
    assert capsys.readouterr().err == (
        "    Get the images: building 10 (10 s)\n    Get the images: building 20 (20 s)\n"
    )


def test_verbose_shows_every_note(clock: FakeClock, capsys: pytest.CaptureFixture[str]) -> None:
    output = Output()
    output.verbose = True
    shown = choose_display(output)
    shown.start("Get the images")
    shown.note("one")
    shown.note("two")
    assert capsys.readouterr().err.count("\n") == 2


def test_warnings_stand_out(capsys: pytest.CaptureFixture[str]) -> None:
    PlainDisplay(10).warn("port 9000 is taken, using 40001")
    assert capsys.readouterr().err == "  ! port 9000 is taken, using 40001\n"


def test_a_terminal_gets_a_live_display(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal(monkeypatch)
    assert isinstance(choose_display(Output()), LiveDisplay)


def test_a_dumb_terminal_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal(monkeypatch, kind="dumb")
    assert isinstance(choose_display(Output()), PlainDisplay)


def test_a_live_display_leaves_one_line_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal(monkeypatch)
    shown = LiveDisplay()
    shown.start("Bring up the kind cluster")
    shown.note("Starting control-plane [bold]1/2[/bold]")
    shown.warn("the disk is [nearly] full")
    shown.done("Bring up the kind cluster", "failed")
    lines = screen.getvalue().splitlines()
    assert any("! the disk is [nearly] full" in line for line in lines)
    assert "✗ Bring up the kind cluster" in lines[-1]
    assert "failed" in lines[-1]


def test_a_step_within_a_step_is_indented_and_keeps_its_own_time(
    clock: FakeClock, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = PlainDisplay(quiet=0)
    shown.start("Get the images")
    clock.sleep(1)
    shown.start("Compile MinIO")
    clock.sleep(2)
    shown.done("Compile MinIO")
    clock.sleep(1)
    shown.note("putting it together")
    shown.done("Get the images")
    lines = capsys.readouterr().err.splitlines()
    assert [line.split() for line in lines] == [
        ["✓", "Compile", "MinIO", "2.0", "s"],
        ["Get", "the", "images:", "putting", "it", "together", "(4", "s)"],
        ["✓", "Get", "the", "images", "4.0", "s"],
    ]
    assert lines[0].startswith("    ✓")
