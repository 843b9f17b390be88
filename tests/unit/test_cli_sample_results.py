"""The table of the samples' results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from devstack.cli.output import Output
from devstack.cli.sample_results import FILE_WIDTH, show_table
from devstack.flows.result import FlowResult
from devstack.flows.suite import SampleOutcome
from devstack.flows.timing import Timing
from devstack.samples.catalogue import Sample, find_sample


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
        stop_reason=None,
        timing=Timing(9.25, 5.0, 1.0),
        pods=[],
        output=[],
        log=Path("my.log"),
    )
    return SampleOutcome(sample(name), result, 7, wrong, None, 10.5)


def test_the_table_shows_result_and_times(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(Output(), [outcome("hello"), outcome("failure", ["no report"])])
    header, hello, failure = capsys.readouterr().out.split("\n")[1:4]
    assert header.split("  ")[0] == "sample"
    assert hello.split()[-5:] == ["ok", "7", "9.2", "5.0", "3.2"]
    assert "failed" in failure
    assert max(len(line) for line in (header, hello, failure)) <= FILE_WIDTH
