"""Run sample flows, several at once, and check their results."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Protocol

from devstack.errors import DevstackError
from devstack.flows.concurrent_runs import (
    ConcurrentRuns,
    check_concurrent_runs,
    draw_concurrent_runs,
)
from devstack.flows.environment import FlowEnvironment
from devstack.flows.failure import failure_of
from devstack.flows.run import FlowCall, run_flow
from devstack.flows.source import read_source
from devstack.flows.timing import Timing
from devstack.flows.uv_project import FlowFile, write_project
from devstack.flows.verify import check_report, failures, verify
from devstack.process import Runner
from devstack.progress import Progress
from devstack.samples.catalogue import Sample

SAMPLE_SECONDS = 900.0
"""How long a sample may take if no timeout is given."""


class EndedRun(Protocol):
    """A run that has ended, of a flow process or of a deployment."""

    @property
    def timing(self) -> Timing:
        """How its time divides."""
        ...


@dataclass(frozen=True)
class SampleOutcome:
    """A sample that was run and checked.

    Attributes:
        sample: the sample.
        result: the run; None if it could not be started.
        checked: the number of checks.
        wrong: the checks that failed.
        error: the report of a failure.
        seconds: the time of the run and its checks.
    """

    sample: Sample
    result: EndedRun | None
    checked: int
    wrong: Sequence[str]
    error: DevstackError | None
    seconds: float

    @property
    def check_seconds(self) -> float:
        """The time of the checks alone."""
        return self.seconds - (self.result.timing.total if self.result else 0.0)

    @property
    def ok(self) -> bool:
        """True if all checks passed."""
        return not self.wrong

    @property
    def verdict(self) -> str:
        """The result as the table shows it."""
        if not self.ok:
            return "failed"
        return "failed as it should" if self.sample.expected_failure else "ok"


RunSample = Callable[[Sample, Progress, Event], SampleOutcome]
"""Runs and checks a sample, reports to the progress, and stops soon after the event is set."""


def run_side_by_side(
    samples: Sequence[Sample], at_once: int, progress: Progress, run_sample: RunSample
) -> list[SampleOutcome]:
    """Run samples; return their outcomes in the order given.

    A sample on its own reports like a user's flow: no step, but the flow's own lines.

    Args:
        samples: what to run.
        at_once: the number of samples that run at the same time.
        progress: gets a branch for each of several samples.
        run_sample: runs one.

    Raises:
        KeyboardInterrupt: running samples were stopped, the others were not started.
    """
    stop = Event()
    alone = len(samples) == 1
    branches = {each: progress if alone else progress.branch(each.name) for each in samples}

    def run(sample: Sample) -> SampleOutcome:
        branch = branches[sample]
        if not alone:
            branch.start(sample.name)
        outcome = _outcome_or_error(sample, branch, stop, run_sample)
        if not alone:
            branch.done(sample.name, "done" if outcome.ok else "failed")
        return outcome

    first_slow = sorted(samples, key=lambda sample: not sample.slow)
    with ThreadPoolExecutor(max_workers=at_once) as pool:
        running = {pool.submit(run, each): each for each in first_slow}
        try:
            outcomes = _collect(running)
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    return [outcomes[sample.name] for sample in samples]


def _outcome_or_error(
    sample: Sample, progress: Progress, stop: Event, run_sample: RunSample
) -> SampleOutcome:
    began = time.monotonic()
    try:
        return run_sample(sample, progress, stop)
    except DevstackError as error:
        return SampleOutcome(sample, None, 0, [str(error)], error, time.monotonic() - began)


@dataclass(frozen=True)
class Suite:
    """Runs samples on one stack.

    Attributes:
        env: what a flow process needs from the stack.
        runner: runs the checks.
        timeout: seconds after which a sample's flow is stopped.
    """

    env: FlowEnvironment
    runner: Runner
    timeout: float = SAMPLE_SECONDS

    def run_samples(
        self, samples: Sequence[Sample], at_once: int, progress: Progress
    ) -> list[SampleOutcome]:
        """Run samples and check their results; see :func:`run_side_by_side`."""
        return run_side_by_side(samples, at_once, progress, self._run_and_check)

    def _run_and_check(self, sample: Sample, progress: Progress, stop: Event) -> SampleOutcome:
        if not sample.packages:
            return self._run_file(sample, FlowFile(sample.file), progress, stop)
        progress.note("locking the packages")
        with tempfile.TemporaryDirectory(prefix="devstack-") as folder:
            file = write_project(sample, Path(folder), self.env.python, self.runner)
            return self._run_file(sample, file, progress, stop)

    def _run_file(
        self, sample: Sample, file: FlowFile, progress: Progress, stop: Event
    ) -> SampleOutcome:
        began = time.monotonic()
        call = FlowCall(
            read_source(file.path),
            file.arguments,
            folder=file.folder,
            # Samples demonstrate both: steps in pods, and on this machine.
            local=True,
            timeout=self.timeout,
            on_line=progress.line,
            note=progress.note,
            stop=stop,
        )
        if sample.concurrent:
            results, fit = ConcurrentRuns(call, self.env).run()
        else:
            results, fit = [run_flow(call, self.env)], 1
        result = next((each for each in results if not each.ok), results[0])
        error = None if result.ok else failure_of(result)
        if error and (not sample.expected_failure or not result.run_id):
            return SampleOutcome(sample, result, 0, [str(error)], error, result.timing.total)
        progress.note("checking the results")
        checks = [
            finding for each in results for finding in verify(sample, each, self.env, self.runner)
        ]
        if sample.concurrent and not error:
            checks += check_concurrent_runs(results, fit)
            timeline = self.env.logs / f"{sample.name}-{result.run_id}.svg"
            timeline.touch(mode=0o600)
            timeline.write_text(draw_concurrent_runs(results))
            progress.line(f"Timeline of the pods: {timeline}")
        if error:
            checks.append(check_report(sample, error))
        wrong = failures(checks)
        return SampleOutcome(sample, result, len(checks), wrong, error, time.monotonic() - began)


def _collect(running: dict[Future[SampleOutcome], Sample]) -> dict[str, SampleOutcome]:
    outcomes = {}
    waiting = set(running)
    while waiting:
        # With a timeout, so that Ctrl-C interrupts the wait.
        done, waiting = wait(waiting, timeout=1.0, return_when=FIRST_COMPLETED)
        for future in done:
            outcomes[running[future].name] = future.result()
    return outcomes
