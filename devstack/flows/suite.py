"""Running sample flows, several at once, and checking what each left behind."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from threading import Event
from typing import Any, Protocol

from devstack.errors import DevstackError
from devstack.flows.concurrent_runs import ConcurrentRuns, check_rivals, draw_rivals
from devstack.flows.environment import FlowEnvironment
from devstack.flows.failure import failure_of
from devstack.flows.run import FlowCall, run_flow
from devstack.flows.source import read_source
from devstack.flows.timing import Timing
from devstack.flows.verify import check_report, failures, verify
from devstack.process import Runner
from devstack.samples.catalogue import Sample

SAMPLE_SECONDS = 900.0
"""How long a sample may take where no timeout is given."""


class EndedRun(Protocol):
    """A run that is over, of whatever ran it."""

    @property
    def timing(self) -> Timing:
        """Where its time went."""
        ...

    def as_dict(self) -> dict[str, Any]:
        """Return the run as it stands in the JSON envelope."""
        ...


@dataclass(frozen=True)
class SampleOutcome:
    """A sample that was run and checked.

    Attributes:
        sample: the sample.
        result: the run; None where it could not be run at all.
        checked: how many things were looked at.
        wrong: what was not as it should be; empty where all is well.
        error: the report of a failure.
        seconds: the run and its check together.
    """

    sample: Sample
    result: EndedRun | None
    checked: int
    wrong: Sequence[str]
    error: DevstackError | None
    seconds: float

    @property
    def ok(self) -> bool:
        """True where the sample did what it should."""
        return not self.wrong

    @property
    def verdict(self) -> str:
        """One word, or a few, for the table."""
        if not self.ok:
            return "failed"
        return "failed as it should" if self.sample.fails_saying else "ok"

    def as_dict(self) -> dict[str, Any]:
        """Return the sample as it stands in the JSON envelope."""
        run = self.result.as_dict() if self.result else {}
        return {
            **run,
            "name": self.sample.name,
            "shows": self.sample.shows,
            "result": self.verdict,
            "ok": self.ok,
            "checked": self.checked,
            "wrong": list(self.wrong),
            "check_seconds": round(self.seconds - run.get("seconds", 0.0), 2),
            "error": self.error.as_dict() if self.error else None,
        }


class Reporter(Protocol):
    """Who is told how the samples get on; called from several threads."""

    def started(self, sample: Sample) -> None:
        """The sample begins."""
        ...

    def line(self, sample: Sample, text: str) -> None:
        """The sample's flow printed a line."""
        ...

    def note(self, sample: Sample, text: str) -> None:
        """What the sample does now."""
        ...

    def ended(self, outcome: SampleOutcome) -> None:
        """The sample is over."""
        ...


@dataclass(frozen=True)
class Suite:
    """Runs samples on one stack.

    Attributes:
        env: the stack.
        runner: runs the checks.
        audience: told how it gets on.
        timeout: seconds a sample's flow may take.
    """

    env: FlowEnvironment
    runner: Runner
    audience: Reporter
    timeout: float = SAMPLE_SECONDS

    def run(self, samples: Sequence[Sample], at_once: int) -> list[SampleOutcome]:
        """Run the samples; return how each ended, in the order given.

        Args:
            samples: what to run.
            at_once: how many run at the same time.

        Raises:
            KeyboardInterrupt: the samples under way are stopped, the others not begun.
        """
        stop = Event()
        first_slow = sorted(samples, key=lambda sample: not sample.slow)
        with ThreadPoolExecutor(max_workers=at_once) as pool:
            running = {pool.submit(self._run_one, each, stop): each for each in first_slow}
            try:
                outcomes = _collect(running)
            except BaseException:
                stop.set()
                pool.shutdown(cancel_futures=True)
                raise
        return [outcomes[sample.name] for sample in samples]

    def _run_one(self, sample: Sample, stop: Event) -> SampleOutcome:
        began = time.monotonic()
        self.audience.started(sample)
        try:
            outcome = self._run_and_check(sample, stop, began)
        except DevstackError as error:
            outcome = SampleOutcome(sample, None, 0, [str(error)], error, time.monotonic() - began)
        self.audience.ended(outcome)
        return outcome

    def _run_and_check(self, sample: Sample, stop: Event, began: float) -> SampleOutcome:
        call = FlowCall(
            read_source(sample.file),
            timeout=self.timeout,
            on_line=lambda text: self.audience.line(sample, text),
            note=lambda text: self.audience.note(sample, text),
            stop=stop,
        )
        if sample.rivals:
            results, fit = ConcurrentRuns(call, self.env).run()
        else:
            results, fit = [run_flow(call, self.env)], 1
        result = next((each for each in results if not each.ok), results[0])
        error = None if result.ok else failure_of(result)
        if error and (not sample.fails_saying or not result.run_id):
            return SampleOutcome(sample, result, 0, [str(error)], error, result.timing.total)
        self.audience.note(sample, "checking the results")
        findings = [
            finding for each in results for finding in verify(sample, each, self.env, self.runner)
        ]
        if sample.rivals and not error:
            findings += check_rivals(results, fit)
            picture = self.env.logs / f"{sample.name}-{result.run_id}.svg"
            picture.write_text(draw_rivals(results))
            self.audience.line(sample, f"The picture of when the pods had a node: {picture}")
        if error:
            findings.append(check_report(sample, error))
        wrong = failures(findings)
        return SampleOutcome(sample, result, len(findings), wrong, error, time.monotonic() - began)


def _collect(running: dict[Future[SampleOutcome], Sample]) -> dict[str, SampleOutcome]:
    outcomes = {}
    waiting = set(running)
    while waiting:
        # With a timeout, so that Ctrl-C is heard while waiting.
        done, waiting = wait(waiting, timeout=1.0, return_when=FIRST_COMPLETED)
        for future in done:
            outcomes[running[future].name] = future.result()
    return outcomes
