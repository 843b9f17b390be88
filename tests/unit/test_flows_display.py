"""What `devstack run` shows, on a terminal and elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console

from devstack.cli import run_display
from devstack.cli.output import Output
from devstack.cli.run_display import (
    Display,
    Lines,
    RunTable,
    SingleRun,
    choose_audience,
    show_table,
)
from devstack.flows.result import FlowResult
from devstack.flows.suite import SampleOutcome
from devstack.flows.timing import Timing
from devstack.samples.catalogue import SAMPLES, Sample, find_sample


def sample(name: str) -> Sample:
    found = find_sample(name)
    assert found
    return found


def outcome(name: str, wrong: Sequence[str] = ()) -> SampleOutcome:
    result = FlowResult(
        name=name,
        flow="MyFlow",
        run_id="1",
        returncode=0,
        trouble=None,
        timing=Timing(9.25, 5.0, 1.0),
        pods=[],
        output=[],
        log=Path("my.log"),
    )
    return SampleOutcome(sample(name), result, 7, wrong, None, 10.5)


@pytest.fixture
def output() -> Output:
    return Output()


def test_json_shows_nothing_on_the_way(output: Output) -> None:
    output.as_json = True
    assert type(choose_audience(output, SAMPLES)) is Display


def test_one_sample_shows_its_own_lines(output: Output, capsys: pytest.CaptureFixture[str]) -> None:
    audience = choose_audience(output, [sample("hello")])
    assert isinstance(audience, SingleRun)
    with audience:
        audience.line(sample("hello"), "Hello!")
        audience.note(sample("hello"), "greet: 1 pod running")
    shown = capsys.readouterr()
    assert shown.out == "Hello!\n"
    assert shown.err == "    greet: 1 pod running\n"


def test_several_samples_show_a_line_at_their_start_and_end(
    output: Output, capsys: pytest.CaptureFixture[str]
) -> None:
    audience = choose_audience(output, SAMPLES)
    assert isinstance(audience, Lines)
    audience.started(sample("hello"))
    audience.note(sample("hello"), "too soon to be worth a line")
    audience.ended(outcome("hello"))
    audience.ended(outcome("failure", ["no report"]))
    assert [line.split() for line in capsys.readouterr().err.splitlines()] == [
        [">", "hello"],
        ["✓", "hello", "ok", "10.5", "s"],
        ["✗", "failure", "failed", "10.5", "s"],
    ]


def test_verbose_shows_every_line_of_every_flow(capsys: pytest.CaptureFixture[str]) -> None:
    Lines(verbose=True).line(sample("hello"), "Hello!")
    assert capsys.readouterr().err == "    hello: Hello!\n"


def test_the_board_has_a_row_for_each_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    board = RunTable([sample(name) for name in ("hello", "foreach", "report")])
    with board:
        board.started(sample("hello"))
        board.ended(outcome("hello"))
        board.started(sample("foreach"))
        board.note(sample("foreach"), "work: [3] pods running")
        console = Console(width=80)
        with console.capture() as capture:
            console.print(board._draw())
    rows = [line.split() for line in capture.get().splitlines()]
    assert [row[:2] for row in rows] == [["✓", "hello"], [">", "foreach"], ["·", "report"]]
    assert rows[1][-4:] == ["work:", "[3]", "pods", "running"]


def test_the_table_tells_result_and_times(
    output: Output, capsys: pytest.CaptureFixture[str]
) -> None:
    show_table(output, [outcome("hello"), outcome("failure", ["no report"])])
    header, hello, failure = capsys.readouterr().out.split("\n")[1:4]
    assert header.split("  ")[0] == "sample"
    assert hello.split()[-5:] == ["ok", "7", "9.2", "5.0", "3.2"]
    assert "failed" in failure
    assert max(len(line) for line in (header, hello, failure)) <= run_display.FILE_WIDTH
