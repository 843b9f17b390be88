"""Running flows on Airflow from their files, samples among them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Event

from devstack.airflow.client import AirflowUnavailableError
from devstack.airflow.dags import set_paused
from devstack.airflow.runs import ENDED, DagRun, list_runs
from devstack.deployers.airflow.compile import CompileCall
from devstack.deployers.airflow.connect import StackAirflow
from devstack.deployers.airflow.deploy import Deployment, deploy
from devstack.deployers.airflow.follow import RunResult, end_run, failure_of, follow
from devstack.deployers.airflow.trigger import trigger
from devstack.flows.environment import FlowEnvironment
from devstack.flows.source import FlowSource, read_source
from devstack.flows.suite import SAMPLE_SECONDS, SampleOutcome, run_side_by_side
from devstack.flows.verify import Finding, check_run, failures
from devstack.progress import Progress
from devstack.samples.catalogue import Sample
from devstack.waits import Observation, Ready, Waiting, wait_until

CALL_SECONDS = 300.0
"""How long the scheduler may take to start a DAG whose interval is a minute."""


@dataclass(frozen=True)
class DagSuite:
    """Runs flows on a stack's Airflow.

    Attributes:
        airflow: the stack's Airflow.
        env: the stack, as one who runs flows sees it.
        timeout: seconds that one run may take.
    """

    airflow: StackAirflow
    env: FlowEnvironment
    timeout: float = SAMPLE_SECONDS

    def run_flow(
        self, source: FlowSource, parameters: Mapping[str, str], note: Callable[[str], None]
    ) -> tuple[Deployment, RunResult]:
        """Deploy a flow, start a run of it, and follow that to its end.

        Args:
            source: the flow.
            parameters: its parameters, as the user typed them.
            note: told what goes on.

        Raises:
            DevstackError: it cannot be deployed, or not be run at all.
            KeyboardInterrupt: it was interrupted, and is ended.
        """
        deployment = deploy(CompileCall(source), self.env, self.airflow, note)
        run = trigger(self.airflow.client, deployment.dag_id, parameters)
        try:
            return deployment, follow(self.airflow, run, note, self.timeout)
        except KeyboardInterrupt:
            end_run(self.airflow, run)
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

        source = read_source(sample.file)
        if sample.scheduled:
            deployment, result = self._await_scheduler(source, note)
        else:
            deployment, result = self.run_flow(source, {}, note)
        if not result.ok:
            error = failure_of(self.airflow, result)
            return SampleOutcome(sample, result, 0, [str(error)], error, time.monotonic() - began)
        note("checking the results")
        findings = [
            Finding("Airflow calls the run a success", result.run.state == "success"),
            *self._check(sample, deployment, result),
        ]
        wrong, seconds = failures(findings), time.monotonic() - began
        return SampleOutcome(sample, result, len(findings), wrong, None, seconds)

    def _check(self, sample: Sample, deployment: Deployment, result: RunResult) -> list[Finding]:
        pathspec = f"{deployment.flow}/{result.run.metaflow_id}"
        tasks = [task.as_dict() for task in result.tasks]
        return check_run(sample, pathspec, tasks, self.env, self.airflow.runner)

    def _await_scheduler(
        self, source: FlowSource, note: Callable[[str], None]
    ) -> tuple[Deployment, RunResult]:
        """Deploy a flow, and follow the first run that the scheduler starts by itself."""
        client = self.airflow.client
        known = {run.run_id for run in list_runs(client, limit=1000)}
        deployment = deploy(CompileCall(source), self.env, self.airflow, note)
        found: list[DagRun] = []

        def observe() -> Observation:
            try:
                runs = list_runs(client, deployment.dag_id)
            except AirflowUnavailableError as away:
                return Waiting(str(away))
            found[:] = [run for run in runs if run.kind == "scheduled" and run.run_id not in known]
            return Ready() if found else Waiting("waiting for the scheduler to start it")

        try:
            wait_until(
                observe,
                what=f"the scheduler to start {deployment.dag_id}",
                timeout=CALL_SECONDS,
                clock=self.airflow.clock,
                interval=1.0,
                note=note,
            )
            return deployment, follow(self.airflow, found[-1], note, self.timeout)
        finally:
            self._pause_and_stop(deployment.dag_id)

    def _pause_and_stop(self, dag_id: str) -> None:
        """Let the scheduler start no more runs, and end those that it has started meanwhile."""
        client = self.airflow.client
        set_paused(client, dag_id, True)
        for run in list_runs(client, dag_id):
            if run.state not in ENDED:
                end_run(self.airflow, run)
