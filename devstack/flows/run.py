"""Running one flow on the stack, from its start to the end of its last pod."""

from __future__ import annotations

import json
import re
import tempfile
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from devstack.errors import DevstackError
from devstack.flows.command import build_command
from devstack.flows.environment import FlowEnvironment
from devstack.flows.flow_process import FlowProcess, ignore
from devstack.flows.leftovers import end_leftovers
from devstack.flows.log import new_log
from devstack.flows.pods import TaskPod, describe_pod, describe_pods, list_pods, phase_of
from devstack.flows.result import FlowResult, PodLog
from devstack.flows.source import FlowSource
from devstack.flows.timing import measure
from devstack.flows.trouble import TroubleWatch
from devstack.kube.api_errors import ApiError, UnreachableError
from devstack.kube.client import Object
from devstack.waits import Clock, Failed, SystemClock, Waiting

LOOK_SECONDS = 1.0
"""How often a run's pods are looked at."""

AWAY_SECONDS = 120.0
"""How long the cluster may be away before the flow is stopped; Metaflow would try for hours."""

TAIL_LINES = 25
"""How much of a flow's output, and of a failed pod's log, is kept for a report."""

_AWAY = (ApiError, UnreachableError)
"""The cluster refuses, or does not answer."""

_CHATTER = "[save_logs]"
"""How Metaflow begins what it says of itself at the end of each pod's log."""

_STAMP = re.compile(r"^\d{4}-\d\d-\d\d [\d:.]+ ")


@dataclass(frozen=True)
class FlowCall:
    """What to run, and who is told of it.

    Attributes:
        source: the flow.
        arguments: its parameters, and Metaflow's own options.
        local: True to leave steps on this machine that do not name a platform.
        timeout: seconds after which the run is stopped; None for no limit.
        on_line: told each line of the flow's output.
        note: told what the run is doing now.
        stop: set from elsewhere to interrupt the run.
        log_name: how the log's name begins; as the flow's file where empty.
    """

    source: FlowSource
    arguments: Sequence[str] = ()
    local: bool = False
    timeout: float | None = None
    on_line: Callable[[str], None] = ignore
    note: Callable[[str], None] = ignore
    stop: Event = field(default_factory=Event)
    log_name: str = ""


def run_flow(call: FlowCall, env: FlowEnvironment, clock: Clock | None = None) -> FlowResult:
    """Run a flow to its end; whatever happens, none of its pods is left running.

    Args:
        call: the flow, its arguments, and who is told.
        env: the stack.
        clock: tells the time.

    Returns:
        How it ended, whether well or not.

    Raises:
        KeyboardInterrupt: it was interrupted, and is stopped.
    """
    with tempfile.TemporaryDirectory(prefix="devstack-") as folder:
        return _Run(call, env, clock or SystemClock(), Path(folder) / "run.json").to_its_end()


class _Run:
    """One run under way."""

    def __init__(self, call: FlowCall, env: FlowEnvironment, clock: Clock, identity: Path) -> None:
        self._call = call
        self._env = env
        self._clock = clock
        self._identity = identity
        self._watch = TroubleWatch(env.kube, env.namespace, clock)
        self._output: deque[str] = deque(maxlen=TAIL_LINES)
        self._log = new_log(env.logs, call.log_name or call.source.name)
        self._flow = self._run_id = ""
        self._away_since: float | None = None

    def to_its_end(self) -> FlowResult:
        """Start the flow, watch it, and clean up behind it."""
        began = self._clock.now()
        process = FlowProcess(self._argv(), self._env.variables(), self._log, self._take_line)
        try:
            trouble = self._follow(process, began)
        except BaseException:
            self._stop(process)
            raise
        if trouble:
            self._stop(process)
        returncode = process.finish()
        total = self._clock.now() - began
        self._identify()
        return self._result(returncode, trouble, total)

    def _argv(self) -> list[str]:
        return build_command(
            self._env.python,
            self._call.source,
            self._call.arguments,
            identity=self._identity,
            local=self._call.local,
        )

    def _follow(self, process: FlowProcess, began: float) -> Failed | None:
        """Watch until the flow ends; return why it has to be stopped, if it has."""
        while not process.wait(LOOK_SECONDS):
            if self._call.stop.is_set():
                raise KeyboardInterrupt
            limit = self._call.timeout
            if limit is not None and self._clock.now() - began > limit:
                return Failed(
                    f"the flow did not end within {limit:.0f} s",
                    remedy="look at its log, or give it more time with --timeout",
                    code="FLOW_TIMEOUT",
                )
            trouble = self._look()
            if trouble:
                return trouble
        return None

    def _look(self) -> Failed | None:
        self._identify()
        try:
            pods = list_pods(self._env.kube, self._env.namespace, self._run_id)
            seen = self._watch.look(self._run_id, pods)
        except _AWAY as away:
            return self._tolerate_outage(away)
        self._away_since = None
        if isinstance(seen, Failed):
            return seen
        self._call.note(_doing(pods, seen.reason if isinstance(seen, Waiting) else ""))
        return None

    def _tolerate_outage(self, away: DevstackError) -> Failed | None:
        """Let the flow outlive a cluster that is away for a moment, but not one that is gone."""
        self._call.note(str(away))
        if self._away_since is None:
            self._away_since = self._clock.now()
        if self._clock.now() - self._away_since < AWAY_SECONDS:
            return None
        return Failed(str(away), remedy=away.remedy, code=away.code)

    def _identify(self) -> None:
        if self._run_id:
            return
        try:
            known = json.loads(self._identity.read_text())
        except (FileNotFoundError, ValueError):  # not written yet, or being written
            return
        self._flow, self._run_id = known["flow_name"], str(known["run_id"])

    def _take_line(self, line: str) -> None:
        if line.strip():
            self._output.append(line)
        self._call.on_line(line)

    def _stop(self, process: FlowProcess) -> None:
        self._call.note("stopping the flow and its pods")
        process.stop()
        self._identify()
        self._end_leftovers()

    def _end_leftovers(self) -> None:
        env = self._env
        try:
            ended = end_leftovers(env.kube, env.namespace, self._run_id, self._clock)
        except _AWAY as away:
            self._call.note(f"pods of the run may be left: {away}")
            return
        for each in ended:
            self._call.note(f"ended {each}")

    def _last_look(self) -> list[Object]:
        try:
            return list_pods(self._env.kube, self._env.namespace, self._run_id)
        except _AWAY as away:
            self._call.note(str(away))
            return []

    def _result(self, returncode: int, trouble: Failed | None, total: float) -> FlowResult:
        pods = self._last_look()
        failed = [pod for pod in pods if phase_of(pod) == "Failed"]
        logs = tuple(self._pod_log(pod) for pod in failed) if returncode else ()
        if returncode and not trouble:
            self._end_leftovers()
        described = describe_pods(pods)
        return FlowResult(
            name=self._call.source.name,
            flow=self._flow,
            run_id=self._run_id,
            returncode=returncode,
            trouble=trouble,
            timing=measure(total, described),
            pods=described,
            output=[_STAMP.sub("", line) for line in self._output],
            failed=logs,
            log=self._log,
        )

    def _pod_log(self, pod: Object) -> PodLog:
        task: TaskPod = describe_pod(pod)
        try:
            text = self._env.kube.logs(task.name, self._env.namespace, tail=TAIL_LINES)
        except _AWAY as away:
            text = away.cause
        kept = (line.rstrip() for line in text.splitlines() if not line.startswith(_CHATTER))
        return PodLog(task.name, task.step, tuple(line for line in kept if line))


def _doing(pods: Sequence[Object], reason: str) -> str:
    """Return what a run does now, in one line."""
    if reason:
        return reason
    running = [pod for pod in describe_pods(pods) if pod.phase == "Running"]
    if not running:
        return "Metaflow is between pods"
    steps = " and ".join(sorted({pod.step for pod in running}))
    return f"{steps}: {len(running)} pod{'s' if len(running) > 1 else ''} running"
