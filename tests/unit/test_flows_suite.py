"""Samples run at once, and are checked; a check or a report that is wrong fails the sample."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from devstack import schema
from devstack.errors import DevstackError, ExitStatus
from devstack.flows import suite as suite_module
from devstack.flows.environment import FlowEnvironment
from devstack.flows.pods import describe_pod
from devstack.flows.result import FlowResult, PodLog
from devstack.flows.run import FlowCall
from devstack.flows.suite import SampleOutcome, Suite
from devstack.flows.timing import Timing
from devstack.flows.verify import verify
from devstack.progress import Silent
from devstack.samples.catalogue import SAMPLES, Sample, find_sample
from devstack.schema import dump
from tests.fakes.api import FakeApi
from tests.fakes.runner import FakeRunner, Recorder
from tests.support.task_objects import NAMESPACE, RUN, task_pod

GOOD = json.dumps([{"what": "it ran", "ok": True, "saw": ""}])
BAD = json.dumps([{"what": "it ran", "ok": False, "saw": "nothing"}])
LAST_LINES = ("RuntimeError: out of fuel, on purpose",)


class Branches:
    """A progress that records what its branches report, in order."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []

    def branch(self, title: str) -> Branch:
        return Branch(title, self.events)


class Branch:
    def __init__(self, title: str, events: list[tuple[str, str]]) -> None:
        self._title = title
        self._events = events

    def start(self, _title: str) -> None:
        self._events.append(("start", self._title))

    def line(self, text: str) -> None:
        self._events.append(("line", self._title))

    def note(self, text: str) -> None:
        self._events.append(("note", self._title))

    def done(self, _title: str, state: str = "done") -> None:
        self._events.append((state, self._title))


def result(call: FlowCall, returncode: int = 0, logs: tuple[str, ...] = LAST_LINES) -> FlowResult:
    failed = (PodLog("t-1", "give_up", logs),) if returncode else ()
    return FlowResult(
        name=call.source.name,
        flow="MyFlow",
        run_id=RUN,
        returncode=returncode,
        stop_reason=None,
        timing=Timing(9.0, 5.0, 1.0),
        pods=[describe_pod(task_pod("t-1"))],
        output=["its last line"],
        failed=failed,
        log=Path("my.log"),
    )


@pytest.fixture
def env(tmp_path: Path) -> FlowEnvironment:
    return FlowEnvironment({}, Path(sys.executable), NAMESPACE, FakeApi().client(), tmp_path)


@pytest.fixture
def runner() -> FakeRunner:
    fake = FakeRunner()
    fake.answer(sys.executable, stdout=GOOD)
    return fake


@pytest.fixture
def flows(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Return the status with which each sample's flow ends; a test may change it."""
    statuses = {sample.name: int(bool(sample.expected_failure)) for sample in SAMPLES}

    def run_flow(call: FlowCall, _env: FlowEnvironment) -> FlowResult:
        return result(call, statuses[call.source.name])

    monkeypatch.setattr(suite_module, "run_flow", run_flow)
    return statuses


def named(*names: str) -> list[Sample]:
    return [sample for name in names if (sample := find_sample(name))]


def run(env: FlowEnvironment, runner: FakeRunner, *names: str) -> list[SampleOutcome]:
    return Suite(env, runner).run_samples(named(*names), 2, Silent())


def test_samples_are_run_checked_and_returned_in_order(
    env: FlowEnvironment, runner: FakeRunner, flows: dict[str, int]
) -> None:
    outcomes = run(env, runner, "storage", "hello")
    assert [(each.sample.name, each.verdict) for each in outcomes] == [
        ("storage", "ok"),
        ("hello", "ok"),
    ]
    assert {argv[-2:] for argv in runner.argvs} == {
        ("storage", f"MyFlow/{RUN}"),
        ("hello", f"MyFlow/{RUN}"),
    }


def test_a_slow_sample_starts_first(
    env: FlowEnvironment, runner: FakeRunner, flows: dict[str, int]
) -> None:
    progress = Branches()
    Suite(env, runner).run_samples(named("hello", "timeout"), 1, progress)
    assert [name for event, name in progress.events if event == "start"] == ["timeout", "hello"]


def test_each_of_several_samples_reports_how_it_ended(
    env: FlowEnvironment, runner: FakeRunner, flows: dict[str, int]
) -> None:
    flows["hello"] = 1
    progress = Branches()
    Suite(env, runner).run_samples(named("hello", "failure"), 1, progress)
    assert [event for event in progress.events if event[0] != "note"] == [
        ("start", "hello"),
        ("failed", "hello"),
        ("start", "failure"),
        ("done", "failure"),
    ]


def test_a_sample_on_its_own_shows_the_lines_of_its_flow(
    env: FlowEnvironment, runner: FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_flow(call: FlowCall, _env: FlowEnvironment) -> FlowResult:
        call.on_line("Hello!")
        call.note("greet: 1 pod running")
        return result(call)

    monkeypatch.setattr(suite_module, "run_flow", run_flow)
    progress = Recorder()
    Suite(env, runner).run_samples(named("hello"), 2, progress)
    assert progress.events == [
        ("line", "Hello!"),
        ("note", "greet: 1 pod running"),
        ("note", "checking the results"),
    ]


def test_a_failed_check_fails_the_sample(
    env: FlowEnvironment, runner: FakeRunner, flows: dict[str, int]
) -> None:
    runner.answer(sys.executable, stdout=BAD)
    (outcome,) = run(env, runner, "hello")
    assert not outcome.ok
    assert list(outcome.wrong) == ["it ran: nothing"]


def test_a_flow_that_fails_fails_the_sample_and_is_not_checked(
    env: FlowEnvironment, runner: FakeRunner, flows: dict[str, int]
) -> None:
    flows["hello"] = 1
    (outcome,) = run(env, runner, "hello")
    assert outcome.verdict == "failed"
    assert outcome.error is not None
    assert outcome.error.exit_status is ExitStatus.FLOW_FAILED
    assert not runner.calls


def test_an_intended_failure_is_a_success(
    env: FlowEnvironment, runner: FakeRunner, flows: dict[str, int]
) -> None:
    (outcome,) = run(env, runner, "failure")
    assert outcome.ok
    assert outcome.verdict == "failed as it should"
    assert outcome.checked == 2
    assert dump(schema.SampleOutcome[schema.FlowRun], outcome)["error"]["code"] == "FLOW_FAILED"


def test_an_intended_failure_that_does_not_happen_fails_the_sample(
    env: FlowEnvironment, runner: FakeRunner, flows: dict[str, int]
) -> None:
    flows["failure"] = 0
    runner.answer(sys.executable, stdout=BAD)
    (outcome,) = run(env, runner, "failure")
    assert not outcome.ok


def test_a_failure_reported_without_the_pods_log_fails_the_sample(
    env: FlowEnvironment,
    runner: FakeRunner,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(suite_module, "run_flow", lambda call, _env: result(call, 1, ("hm",)))
    (outcome,) = run(env, runner, "failure")
    assert not outcome.ok
    assert "hm" in outcome.wrong[0]


def test_an_error_of_devstack_fails_only_that_sample(
    env: FlowEnvironment, runner: FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_flow(call: FlowCall, _env: FlowEnvironment) -> FlowResult:
        if call.source.name == "hello":
            raise DevstackError("the disk is full", code="DISK_FULL")
        return result(call)

    monkeypatch.setattr(suite_module, "run_flow", run_flow)
    hello, report = run(env, runner, "hello", "report")
    assert (hello.verdict, report.verdict) == ("failed", "ok")
    assert list(hello.wrong) == ["the disk is full"]


def test_an_interruption_stops_the_others_and_starts_no_more(
    env: FlowEnvironment, runner: FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    progress = Branches()

    def run_flow(call: FlowCall, _env: FlowEnvironment) -> FlowResult:
        if call.source.name == "hello":
            raise KeyboardInterrupt
        assert call.stop.wait(timeout=30), "the run was not stopped"
        raise KeyboardInterrupt

    monkeypatch.setattr(suite_module, "run_flow", run_flow)
    with pytest.raises(KeyboardInterrupt):
        Suite(env, runner).run_samples(named("hello", "report", "storage"), 2, progress)
    assert {event for event, _ in progress.events} == {"start"}


@pytest.mark.parametrize("output", ["[]", "", "no JSON"])
def test_a_check_without_output_is_no_success(
    env: FlowEnvironment, runner: FakeRunner, output: str
) -> None:
    runner.answer(sys.executable, stdout=output, stderr="ImportError: no metaflow", returncode=1)
    call = FlowCall(source=suite_module.read_source(SAMPLES[0].file))
    (finding,) = verify(SAMPLES[0], result(call), env, runner)
    assert not finding.ok
    assert finding.saw == "ImportError: no metaflow"


def test_the_check_gets_the_observed_pods(env: FlowEnvironment, runner: FakeRunner) -> None:
    call = FlowCall(source=suite_module.read_source(SAMPLES[0].file))
    verify(SAMPLES[0], result(call), env, runner)
    sent = runner.calls[0].input
    assert isinstance(sent, str)
    assert [pod["name"] for pod in json.loads(sent)] == ["t-1"]


def test_the_envelope_has_what_the_benchmark_reads(
    env: FlowEnvironment, runner: FakeRunner, flows: dict[str, int]
) -> None:
    (outcome,) = run(env, runner, "hello")
    shown = dump(schema.SampleOutcome[schema.FlowRun], outcome)
    assert (shown["name"], shown["result"]) == ("hello", "ok")
    assert (shown["seconds"], shown["overhead_seconds"]) == (9.0, 3.0)
