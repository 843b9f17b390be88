"""Samples run at once, and are checked; a check or a report that is wrong fails the sample."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

import pytest

from devstack.errors import DevstackError, ExitStatus
from devstack.flows import suite as suite_module
from devstack.flows.environment import FlowEnvironment
from devstack.flows.pods import describe_pod
from devstack.flows.result import FlowResult, PodLog
from devstack.flows.run import FlowCall
from devstack.flows.suite import SampleOutcome, Suite
from devstack.flows.timing import Timing
from devstack.flows.verify import verify
from devstack.samples.catalogue import SAMPLES, Sample, find_sample
from tests.fakes.api import FakeApi
from tests.fakes.runner import FakeRunner
from tests.support.task_objects import NAMESPACE, RUN, task_pod

GOOD = json.dumps([{"what": "it ran", "ok": True, "saw": ""}])
BAD = json.dumps([{"what": "it ran", "ok": False, "saw": "nothing"}])
LAST_WORDS = ("RuntimeError: out of fuel, on purpose",)


class Told:
    """Remembers what it is told, in order."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []
        self._lock = threading.Lock()

    def _tell(self, event: str, name: str) -> None:
        with self._lock:
            self.events.append((event, name))

    def started(self, sample: Sample) -> None:
        self._tell("started", sample.name)

    def line(self, sample: Sample, text: str) -> None:
        self._tell("line", sample.name)

    def note(self, sample: Sample, text: str) -> None:
        self._tell("note", sample.name)

    def ended(self, outcome: SampleOutcome) -> None:
        self._tell("ended", outcome.sample.name)


def result(call: FlowCall, returncode: int = 0, logs: tuple[str, ...] = LAST_WORDS) -> FlowResult:
    failed = (PodLog("t-1", "give_up", logs),) if returncode else ()
    return FlowResult(
        name=call.source.name,
        flow="MyFlow",
        run_id=RUN,
        returncode=returncode,
        trouble=None,
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
    statuses = {sample.name: int(bool(sample.fails_saying)) for sample in SAMPLES}

    def run_flow(call: FlowCall, _env: FlowEnvironment) -> FlowResult:
        return result(call, statuses[call.source.name])

    monkeypatch.setattr(suite_module, "run_flow", run_flow)
    return statuses


def named(*names: str) -> list[Sample]:
    return [sample for name in names if (sample := find_sample(name))]


def run(env: FlowEnvironment, runner: FakeRunner, *names: str) -> list[SampleOutcome]:
    return Suite(env, runner, Told()).run(named(*names), 2)


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
    told = Told()
    Suite(env, runner, told).run(named("hello", "timeout"), 1)
    assert [name for event, name in told.events if event == "started"] == ["timeout", "hello"]


def test_a_check_that_finds_fault_fails_the_sample(
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


def test_a_failure_on_purpose_counts_as_success(
    env: FlowEnvironment, runner: FakeRunner, flows: dict[str, int]
) -> None:
    (outcome,) = run(env, runner, "failure")
    assert outcome.ok
    assert outcome.verdict == "failed as it should"
    assert outcome.checked == 2
    assert outcome.as_dict()["error"]["code"] == "FLOW_FAILED"


def test_a_failure_on_purpose_that_does_not_happen_is_wrong(
    env: FlowEnvironment, runner: FakeRunner, flows: dict[str, int]
) -> None:
    flows["failure"] = 0
    runner.answer(sys.executable, stdout=BAD)
    (outcome,) = run(env, runner, "failure")
    assert not outcome.ok


def test_a_failure_reported_without_the_pods_words_is_wrong(
    env: FlowEnvironment,
    runner: FakeRunner,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(suite_module, "run_flow", lambda call, _env: result(call, 1, ("hm",)))
    (outcome,) = run(env, runner, "failure")
    assert not outcome.ok
    assert "hm" in outcome.wrong[0]


def test_an_error_of_devstacks_own_fails_that_sample_alone(
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
    told = Told()

    def run_flow(call: FlowCall, _env: FlowEnvironment) -> FlowResult:
        if call.source.name == "hello":
            raise KeyboardInterrupt
        assert call.stop.wait(timeout=30), "nobody told it to stop"
        raise KeyboardInterrupt

    monkeypatch.setattr(suite_module, "run_flow", run_flow)
    with pytest.raises(KeyboardInterrupt):
        Suite(env, runner, told).run(named("hello", "report", "storage"), 2)
    assert not [name for event, name in told.events if event == "ended"]


@pytest.mark.parametrize("said", ["[]", "", "no JSON"])
def test_a_check_that_says_nothing_is_no_success(
    env: FlowEnvironment, runner: FakeRunner, said: str
) -> None:
    runner.answer(sys.executable, stdout=said, stderr="ImportError: no metaflow", returncode=1)
    call = FlowCall(source=suite_module.read_source(SAMPLES[0].file))
    (finding,) = verify(SAMPLES[0], result(call), env, runner)
    assert not finding.ok
    assert finding.saw == "ImportError: no metaflow"


def test_the_check_gets_the_pods_that_were_seen(env: FlowEnvironment, runner: FakeRunner) -> None:
    call = FlowCall(source=suite_module.read_source(SAMPLES[0].file))
    verify(SAMPLES[0], result(call), env, runner)
    sent = runner.calls[0].input
    assert isinstance(sent, str)
    assert [pod["name"] for pod in json.loads(sent)] == ["t-1"]


def test_the_envelope_has_what_the_benchmark_reads(
    env: FlowEnvironment, runner: FakeRunner, flows: dict[str, int]
) -> None:
    (outcome,) = run(env, runner, "hello")
    shown = outcome.as_dict()
    assert (shown["name"], shown["result"]) == ("hello", "ok")
    assert (shown["seconds"], shown["overhead_seconds"]) == (9.0, 3.0)
