"""Run one flow on the stack, until its last pod has ended."""

from __future__ import annotations

import json
import re
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

from devstack.errors import DevstackError
from devstack.flows.arguments import parse_arguments
from devstack.flows.cleanup import delete_active_jobs, delete_jobs_and_pods
from devstack.flows.command import build_command
from devstack.flows.environment import FlowEnvironment
from devstack.flows.flow_process import FlowProcess, ignore
from devstack.flows.log import new_log
from devstack.flows.pending_pods import PendingPods
from devstack.flows.placement import observed_places, place_steps
from devstack.flows.pod_values import check_pod_values
from devstack.flows.pods import (
    TaskPod,
    describe_pod,
    describe_pods,
    list_pods,
    phase_of,
)
from devstack.flows.result import FlowResult, PodLog
from devstack.flows.source import FlowSource
from devstack.flows.stalls import StallWatch
from devstack.flows.timing import measure
from devstack.flows.worker_limit import check_worker_limit
from devstack.kube.api_errors import ApiError, UnreachableError
from devstack.kube.client import Object
from devstack.kube.pods import ImagePullFailed
from devstack.waits import Clock, Failed, SystemClock, Waiting

POLL_INTERVAL = 1.0
"""Seconds between two observations of a run's pods."""

OUTAGE_TIMEOUT = 120.0
"""Seconds without the API after which the flow is stopped; Metaflow would retry for hours."""

IMAGE_RETRY_TIMEOUT = 60.0
"""Seconds that the kubelet has to try again with an image that was put on the nodes."""

TAIL_LINES = 25
"""The number of lines of a flow's output, and of a failed pod's log, for a report."""

_API_ERRORS = (ApiError, UnreachableError)
"""The API server rejects a request, or does not answer."""

_ACTIVE = ("Pending", "Running")

_METAFLOW_PREFIX = "[save_logs]"
"""The prefix of the lines that Metaflow itself adds to the end of each pod's log."""

_STARTED = re.compile(r"\[[^/\]]+/(\w+)/[^\]]+ \(pid \d+\)\] Task is starting\.")
"""The first line that Metaflow prints of a task, wherever it runs."""

_TIMESTAMP = re.compile(r"^\d{4}-\d\d-\d\d [\d:.]+ ")


@dataclass(frozen=True)
class FlowCall:
    """A flow to run, and its callbacks.

    Attributes:
        source: the flow.
        arguments: its parameters, and Metaflow's own options.
        local: True to keep steps without a platform's decorator on this machine.
        timeout: seconds after which the run is stopped; None for no limit.
        on_line: called with each line of the flow's output.
        note: called with what the run is doing now.
        report: called with what is being stopped, and when it has.
        supply_image: puts an image that a pod lacks on the nodes; returns False if it cannot.
        stop: interrupts the run when another thread sets it.
        log_name: the prefix of the log's name; by default the flow's file.
        folder: where the flow's process runs; by default the current folder.
    """

    source: FlowSource
    arguments: Sequence[str] = ()
    local: bool = False
    timeout: float | None = None
    on_line: Callable[[str], None] = ignore
    note: Callable[[str], None] = ignore
    report: Callable[[str], None] = ignore
    supply_image: Callable[[str], bool] = lambda _image: False
    stop: Event = field(default_factory=Event)
    log_name: str = ""
    folder: Path | None = None


def run_flow(call: FlowCall, env: FlowEnvironment, clock: Clock | None = None) -> FlowResult:
    """Run a flow until it ends; in any case, none of its pods keeps running.

    Args:
        call: the flow, its arguments and callbacks.
        env: what a flow process needs from the stack.
        clock: the clock of the timeouts.

    Returns:
        The result, also of a failed run.

    Raises:
        DevstackError: ``FLOW_VALUE_UNSUPPORTED``.
        KeyboardInterrupt: the run was interrupted, and is stopped.
    """
    with tempfile.TemporaryDirectory(prefix="devstack-") as folder:
        return _Run(call, env, clock or SystemClock(), Path(folder) / "run.json").run()


class _Run:
    """One run."""

    def __init__(self, call: FlowCall, env: FlowEnvironment, clock: Clock, identity: Path) -> None:
        self._call = call
        self._arguments = parse_arguments(call.source, call.arguments)
        self._env = env
        self._variables = env.variables()
        self._placement = place_steps(
            call.source, self._arguments, self._variables, local=call.local
        )
        self._clock = clock
        self._identity = identity
        self._pending = PendingPods(env.kube, env.namespace, clock)
        self._stalls = StallWatch(call.source, self._arguments, env, self._variables, clock)
        self._stalled: list[str] = []
        self._output: deque[str] = deque(maxlen=TAIL_LINES)
        self._log = new_log(env.logs, call.log_name or call.source.name)
        self._flow = self._run_id = ""
        self._started: dict[str, None] = {}
        self._outage_since: float | None = None
        self._supplied: dict[str, float] = {}

    def run(self) -> FlowResult:
        """Start the flow, observe its pods, and delete what it leaves running."""
        began = self._clock.now()
        process = FlowProcess(
            self._argv(), self._variables, self._log, self._take_line, self._call.folder
        )
        try:
            stop_reason = self._follow(process, began)
        except BaseException:
            self._stop(process)
            raise
        if stop_reason:
            self._stop(process)
        returncode = process.finish()
        total = self._clock.now() - began
        self._identify()
        return self._result(returncode, stop_reason, total)

    def _argv(self) -> list[str]:
        check_worker_limit(self._arguments, self._variables)
        if self._placement.uses_cluster:
            check_pod_values(self._call.source, self._arguments, self._variables)
        return build_command(
            self._env.python,
            self._call.source,
            self._arguments,
            identity=self._identity,
            decorators=self._placement.added,
        )

    def _follow(self, process: FlowProcess, began: float) -> Failed | None:
        """Wait for the flow's end; return why it must be stopped, or None."""
        while not process.wait(POLL_INTERVAL):
            if self._call.stop.is_set():
                raise KeyboardInterrupt
            limit = self._call.timeout
            if limit is not None and self._clock.now() - began > limit:
                return Failed(
                    f"the flow did not end within {limit:.0f} s",
                    remedy="see its log, or give it more time with --timeout",
                    code="FLOW_TIMEOUT",
                )
            failed = self._observe(process.pid)
            if failed:
                return failed
        return None

    def _observe(self, pid: int) -> Failed | None:
        self._identify()
        try:
            pods = list_pods(self._env.kube, self._env.namespace, self._run_id)
            observation = self._pending.observe(self._run_id, pods)
        except _API_ERRORS as error:
            return self._tolerate_outage(error)
        self._outage_since = None
        if isinstance(observation, Failed):
            return None if self._supplies(observation) else observation
        for sentence in self._stalls.observe(pid, pods):
            self._stalled.append(sentence)
            self._call.report(f"{sentence}. Ctrl-C stops the run")
        reason = observation.reason if isinstance(observation, Waiting) else ""
        self._call.note(reason or self._stalls.note or _activity(pods))
        return None

    def _supplies(self, failed: Failed) -> bool:
        """Return True if a pod gets the image that it waits for, now or when it is retried."""
        if not isinstance(failed, ImagePullFailed) or failed.always:
            return False
        if failed.image not in self._supplied and not self._call.supply_image(failed.image):
            return False
        since = self._supplied.setdefault(failed.image, self._clock.now())
        return self._clock.now() - since < IMAGE_RETRY_TIMEOUT

    def _tolerate_outage(self, error: DevstackError) -> Failed | None:
        """Return None as long as the API server may come back."""
        self._call.note(str(error))
        if self._outage_since is None:
            self._outage_since = self._clock.now()
        if self._clock.now() - self._outage_since < OUTAGE_TIMEOUT:
            return None
        return Failed(str(error), remedy=error.remedy, code=error.code)

    def _identify(self) -> None:
        if self._run_id:
            return
        try:
            text = self._identity.read_text()
            identity = json.loads(text)
        except (FileNotFoundError, ValueError):  # not written yet, or being written
            return
        self._flow, self._run_id = identity["flow_name"], str(identity["run_id"])
        # Metaflow writes one such file only: devstack's, which is named last.
        for _option, file in self._arguments.values_of("--runner-attribute-file"):
            try:
                Path(file).write_text(text)
            except OSError as error:
                self._call.report(f"cannot write {file}: {error.strerror}")

    def _take_line(self, line: str) -> None:
        if line.strip():
            self._output.append(line)
        if started := _STARTED.search(line):
            self._started[started[1]] = None
        self._stalls.take_line(line)
        self._call.on_line(line)

    def _stop(self, process: FlowProcess) -> None:
        began = self._clock.now()
        self._call.note("stopping the flow and its pods")
        self._identify()
        self._call.report(f"stopping {self._describe()}")
        # Meanwhile, because Metaflow may take 20 s to end the tasks of a wide foreach.
        Thread(target=self._delete_once, daemon=True).start()
        try:
            process.stop()
        finally:
            self._identify()
            if self._delete_active_jobs():
                seconds = self._clock.now() - began
                self._call.report(f"stopped in {seconds:.1f} s; none of its pods is running")

    def _describe(self) -> str:
        """Return the run and its active pods, such as ``MyFlow/17: 2 pods of step train``."""
        run = f"{self._flow}/{self._run_id}" if self._run_id else self._call.source.name
        pods = [pod for pod in describe_pods(self._list_pods()) if pod.phase in _ACTIVE]
        counts = Counter(pod.step for pod in pods)
        steps = [
            f"{count} pod{'s' if count > 1 else ''} of step {step}"
            for step, count in sorted(counts.items())
        ]
        return f"{run}: {', '.join(steps) or 'no pod is running'}"

    def _delete_once(self) -> None:
        with suppress(*_API_ERRORS):
            delete_jobs_and_pods(self._env.kube, self._env.namespace, self._run_id)

    def _delete_active_jobs(self) -> bool:
        """Delete what still runs; return False if the API does not answer."""
        env = self._env
        try:
            deleted = delete_active_jobs(env.kube, env.namespace, self._run_id, self._clock)
        except _API_ERRORS as error:
            self._call.note(f"pods of the run may still be running: {error}")
            return False
        for each in deleted:
            self._call.note(f"deleted {each}")
        return True

    def _list_pods(self) -> list[Object]:
        try:
            return list_pods(self._env.kube, self._env.namespace, self._run_id)
        except _API_ERRORS as error:
            self._call.note(str(error))
            return []

    def _result(self, returncode: int, stop_reason: Failed | None, total: float) -> FlowResult:
        pods = self._list_pods()
        failed = [pod for pod in pods if phase_of(pod) == "Failed"]
        logs = tuple(self._pod_log(pod) for pod in failed) if returncode else ()
        if returncode and not stop_reason:
            self._delete_active_jobs()
        described = describe_pods(pods)
        return FlowResult(
            name=self._call.source.name,
            flow=self._flow,
            run_id=self._run_id,
            returncode=returncode,
            stop_reason=stop_reason,
            timing=measure(total, described),
            pods=described,
            stalls=self._stalled,
            places=observed_places(self._placement, self._started, described),
            output=[_TIMESTAMP.sub("", line) for line in self._output],
            failed=logs,
            log=self._log,
        )

    def _pod_log(self, pod: Object) -> PodLog:
        task: TaskPod = describe_pod(pod)
        try:
            text = self._env.kube.logs(task.name, self._env.namespace, tail=TAIL_LINES)
        except _API_ERRORS as error:
            text = error.cause
        # A container that cannot start has no log.
        text = text or task.message
        lines = (
            line.rstrip() for line in text.splitlines() if not line.startswith(_METAFLOW_PREFIX)
        )
        return PodLog(task.name, task.step, tuple(line for line in lines if line))


def _activity(pods: Sequence[Object]) -> str:
    """Return what a run is doing now, in one line."""
    running = [pod for pod in describe_pods(pods) if pod.phase == "Running"]
    if not running:
        return "Metaflow is between pods"
    steps = " and ".join(sorted({pod.step for pod in running}))
    return f"{steps}: {len(running)} pod{'s' if len(running) > 1 else ''} running"
