"""Run flows with a deployer from source files: the user's, or samples with their checks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from threading import Event
from typing import Any

import msgspec

from devstack.deployers.base import Deployer, Deployment, DeployOptions, Note, Run, RunResult
from devstack.deployers.deploy import deploy
from devstack.errors import DevstackError
from devstack.flows.environment import FlowEnvironment
from devstack.flows.source import FlowSource, read_source
from devstack.flows.suite import SAMPLE_SECONDS, SampleOutcome, run_side_by_side
from devstack.flows.verify import check_run, failures
from devstack.progress import Progress
from devstack.samples.catalogue import Sample
from devstack.samples.checks.result import CheckResult
from devstack.stack import Stack

SUCCESS = ("success", "succeeded")
"""The state of a run that succeeded, as Airflow and Argo call it."""

BACKFILLED_DAYS = 3
"""Number of runs of a sample that is backfilled."""


@dataclass(frozen=True)
class DeployerSuite:
    """Deploys flows and runs them once.

    Attributes:
        stack: the stack.
        deployer: deploys and runs the flows.
        env: environment of the flows' processes.
        timeout: maximum seconds for one run.
        deletes_samples: True to delete the deployments of samples that have passed all checks;
            those of others stay, with what explains the failure.
    """

    stack: Stack
    deployer: Deployer[Any, Any]
    env: FlowEnvironment
    timeout: float = SAMPLE_SECONDS
    deletes_samples: bool = False

    def run_flow(self, options: DeployOptions, note: Note) -> tuple[Deployment, RunResult[Run]]:
        """Deploy a flow, trigger a run, and follow it.

        Args:
            options: the flow, how to deploy it, and the run's parameters.
            note: shows the progress.

        Raises:
            DevstackError: it cannot be deployed or triggered.
            KeyboardInterrupt: it was interrupted; its run is stopped.
        """
        deployment = self._deploy(options, note)
        run = self.deployer.trigger(deployment.name, options.parameters)
        try:
            return deployment, self.deployer.follow(run, note, self.timeout)
        except KeyboardInterrupt:
            self.deployer.stop(run)
            raise

    def run_samples(
        self, samples: Sequence[Sample], at_once: int, progress: Progress
    ) -> list[SampleOutcome]:
        """Run samples and check their results; see :func:`run_side_by_side`."""
        return run_side_by_side(samples, at_once, progress, self._run_and_check)

    def _run_and_check(self, sample: Sample, progress: Progress, stop: Event) -> SampleOutcome:
        began = time.monotonic()

        def note(text: str) -> None:
            # Called after each poll, so this is where a thread learns of Ctrl-C.
            if stop.is_set():
                raise KeyboardInterrupt
            progress.note(text)

        try:
            deployments, results = self._run(sample, note)
        except DevstackError as failed:
            if not sample.backfilled:
                raise
            return SampleOutcome(sample, None, 0, [str(failed)], failed, time.monotonic() - began)
        result = results[-1]
        if not result.ok:
            error = self.deployer.failure(result)
            return SampleOutcome(sample, result, 0, [str(error)], error, time.monotonic() - began)
        note("checking the results")
        checks = [
            self._check_state(result),
            *(found for each in results for found in self._check(sample, deployments[0], each)),
        ]
        wrong = failures(checks)
        if self.deletes_samples and not wrong:
            note("deleting what was deployed")
            for deployment in deployments:
                self.deployer.delete(deployment.name, force=True)
        seconds = time.monotonic() - began
        return SampleOutcome(sample, result, len(checks), wrong, None, seconds)

    def _run(
        self, sample: Sample, note: Note
    ) -> tuple[Sequence[Deployment], Sequence[RunResult[Run]]]:
        """Deploy a sample, and run it as it is meant to be run.

        Returns:
            Its deployment, followed by that of the flow that starts it, and its runs.
        """
        source = read_source(sample.file)
        if sample.backfilled:
            return self._run_by_backfill(source, note)
        if sample.starting_file:
            return self._run_by_event(source, read_source(sample.starting_file), note)
        if sample.scheduled:
            deployment, result = self._run_by_schedule(source, note)
        else:
            deployment, result = self.run_flow(DeployOptions(source), note)
        return [deployment], [result]

    def _check_state(self, result: RunResult[Run]) -> CheckResult:
        state = result.run.state
        what = f"{self.deployer.engine.capitalize()} calls the run a success"
        return CheckResult(what, state in SUCCESS, "" if state in SUCCESS else state)

    def _check(
        self, sample: Sample, deployment: Deployment, result: RunResult[Run]
    ) -> list[CheckResult]:
        pathspec = f"{deployment.flow}/{result.run.metaflow_id}"
        tasks = msgspec.to_builtins(list(result.tasks))
        return [
            *check_run(sample, pathspec, tasks, self.env, self.stack.runner),
            *self.deployer.check_run(result),
        ]

    def _run_by_schedule(self, source: FlowSource, note: Note) -> tuple[Deployment, RunResult[Run]]:
        """Deploy a flow, and follow the first run that its schedule starts."""
        known = {run.run_id for run in self.deployer.runs(limit=1000)}
        deployment = self._deploy(DeployOptions(source), note)
        try:
            run = self.deployer.wait_scheduled_run(deployment.name, known, note)
            return deployment, self.deployer.follow(run, note, self.timeout)
        finally:
            self._pause_and_stop(deployment.name)

    def _run_by_event(
        self, source: FlowSource, starting: FlowSource, note: Note
    ) -> tuple[Sequence[Deployment], Sequence[RunResult[Run]]]:
        """Deploy a flow, run the flow whose end is its event, and follow the run that it starts."""
        deployment = self._deploy(DeployOptions(source), note)
        known = {run.run_id for run in self.deployer.runs(deployment.name, limit=1000)}
        first, result = self.run_flow(DeployOptions(starting), note)
        if not result.ok:
            raise self.deployer.failure(result)
        run = self.deployer.wait_event_run(deployment.name, known, note)
        return [deployment, first], [self.deployer.follow(run, note, self.timeout)]

    def _run_by_backfill(
        self, source: FlowSource, note: Note
    ) -> tuple[Sequence[Deployment], Sequence[RunResult[Run]]]:
        """Deploy a flow, and run it for the last days that have ended."""
        deployment = self._deploy(DeployOptions(source), note)
        today = datetime.now(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
        dates = (today - timedelta(days=BACKFILLED_DAYS), today - timedelta(days=1))
        try:
            runs = self.deployer.backfill(deployment.name, dates, "day", note, self.timeout)
            return [deployment], runs
        finally:
            self._pause_and_stop(deployment.name)

    def _pause_and_stop(self, name: str) -> None:
        """Pause a deployment, and stop the runs that its schedule has started since."""
        self.deployer.set_paused(name, True)
        for run in self.deployer.runs(name):
            if not run.finished:
                self.deployer.stop(run)

    def _deploy(self, options: DeployOptions, note: Note) -> Deployment:
        return deploy(self.deployer, options, self.env, self.stack.clock, note)
