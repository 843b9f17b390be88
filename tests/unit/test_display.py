from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from rich.console import Console

from devstack.cli import display, main
from devstack.cli.display import PlainDisplay, choose_display
from devstack.cli.live_display import LiveDisplay
from devstack.cli.output import Output
from devstack.errors import DevstackError, ExitStatus
from devstack.progress import Silent
from tests.fakes.runner import FakeClock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    fake = FakeClock()
    monkeypatch.setattr(display.time, "monotonic", fake.now)
    return fake


def terminal(monkeypatch: pytest.MonkeyPatch, kind: str = "xterm-256color") -> io.StringIO:
    """Replace standard error by a terminal; not a fixture, because pytest would undo it."""
    screen = io.StringIO()
    screen.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", kind)
    monkeypatch.delenv("NO_COLOR", raising=False)
    return screen


def test_without_a_terminal_a_step_is_one_line(
    clock: FakeClock, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = PlainDisplay()
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


def test_without_a_terminal_a_slow_step_prints_its_note_at_intervals(
    clock: FakeClock, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = PlainDisplay()
    shown.start("Get the images")
    for second in range(25):
        shown.note(f"building {second}")
        clock.sleep(1)
    assert capsys.readouterr().err == (
        "    Get the images: building 10 (10 s)\n    Get the images: building 20 (20 s)\n"
    )


def test_verbose_shows_every_note(clock: FakeClock, capsys: pytest.CaptureFixture[str]) -> None:
    shown = choose_display(as_json=False, verbose=True)
    shown.start("Get the images")
    shown.note("one")
    shown.note("two")
    assert capsys.readouterr().err.count("\n") == 2


def test_warnings_are_marked(capsys: pytest.CaptureFixture[str]) -> None:
    PlainDisplay().warn("port 9000 is taken, using 40001")
    assert capsys.readouterr().err == "  ! port 9000 is taken, using 40001\n"


def test_a_terminal_gets_a_live_display(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal(monkeypatch)
    assert isinstance(choose_display(as_json=False, verbose=False), LiveDisplay)


def test_a_dumb_terminal_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal(monkeypatch, kind="dumb")
    assert isinstance(choose_display(as_json=False, verbose=False), PlainDisplay)


def test_a_live_display_leaves_one_line_per_step(monkeypatch: pytest.MonkeyPatch) -> None:
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
    shown = PlainDisplay(verbose=True)
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


def test_json_displays_nothing() -> None:
    assert isinstance(choose_display(as_json=True, verbose=False), Silent)


def test_a_flow_on_its_own_shows_its_lines_and_each_new_note(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown = PlainDisplay()
    shown.line("Hello!")
    for _ in range(2):
        shown.note("greet: 1 pod running")
    captured = capsys.readouterr()
    assert captured.out == "Hello!\n"
    assert captured.err == "    greet: 1 pod running\n"


def test_branches_show_a_line_at_their_start_and_end(
    clock: FakeClock, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = PlainDisplay()
    hello, failure = shown.branch("hello"), shown.branch("failure")
    for branch, title in ((hello, "hello"), (failure, "failure")):
        branch.start(title)
        branch.note("too soon to be worth a line")
        branch.line("printed by the flow")
    clock.sleep(10.5)
    hello.note("greet: 1 pod running")
    hello.done("hello")
    failure.done("failure", "failed")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert [line.split() for line in captured.err.splitlines()] == [
        [">", "hello"],
        [">", "failure"],
        ["hello:", "greet:", "1", "pod", "running", "(10", "s)"],
        ["✓", "hello", "10.5", "s"],
        ["✗", "failure", "10.5", "s", "failed"],
    ]


def test_verbose_shows_every_line_of_every_branch(capsys: pytest.CaptureFixture[str]) -> None:
    PlainDisplay(verbose=True).branch("hello").line("Hello!")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "    hello: Hello!\n")


def test_a_live_display_has_a_row_for_each_branch(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal(monkeypatch)
    shown = LiveDisplay()
    hello, foreach, _report = (shown.branch(title) for title in ("hello", "foreach", "report"))
    hello.start("hello")
    hello.done("hello")
    foreach.start("foreach")
    foreach.note("work: [3] pods running")
    console = Console(width=80)
    with console.capture() as capture:
        console.print(shown._rows.get_renderable())
    shown.close()
    rows = [line.split() for line in capture.get().splitlines()]
    assert [row[1] for row in rows] == ["foreach", "report"]
    assert rows[0][-4:] == ["work:", "[3]", "pods", "running"]
    assert rows[1] == ["·", "report", "waiting"]
    assert "✓ hello" in screen.getvalue()


def test_a_live_display_shows_lines_above_the_note(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal(monkeypatch)
    monkeypatch.setattr(sys, "stdout", screen)
    shown = LiveDisplay()
    shown.note("greet: 1 pod [running]")
    shown.line("Hello [bold]!")
    shown.close()
    text = screen.getvalue()
    assert "greet: 1 pod [running]" in text
    assert "Hello [bold]!\n" in text


def test_lines_go_to_the_file_that_standard_output_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal(monkeypatch)
    LiveDisplay().line("Hello!")
    assert capsys.readouterr().out == "Hello!\n"


def test_a_live_display_is_removed_before_the_result_is_printed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = terminal(monkeypatch)
    output = Output()
    progress = output.progress()
    progress.start("Get the images")
    output.fail(DevstackError("cannot get the images", code="NO_IMAGES"))
    # The line is erased and the cursor is visible again.
    shown, _, error = screen.getvalue().partition("error: cannot get the images")
    assert error
    assert shown.rindex("\x1b[?25h") > shown.rindex("Get the images")
    assert "Get the images" not in error


def test_a_live_display_is_removed_before_click_prints_a_newline_at_ctrl_c(
    monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    screen = terminal(monkeypatch)

    def interrupted(output: Output) -> None:
        output.progress().note("stopping the flow and its pods")
        raise KeyboardInterrupt

    monkeypatch.setattr(
        "devstack.cli.output.Output.text", lambda output, _text: interrupted(output)
    )
    assert main.run(["completion", "bash"], Output()) == ExitStatus.INTERRUPTED
    shown, _, error = screen.getvalue().partition("\x1b[2K\nerror: completion was interrupted")
    assert "stopping the flow and its pods" in shown
    assert error
