"""Notice a run that makes no progress, and find out what it waits for.

Metaflow repeats a rejected request to S3 for an hour, silently. A run that prints nothing and
whose pods do not change is therefore examined: each service is tried once with the settings of
its process, and of its pods. A step that computes in silence passes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Thread

from devstack.flows.arguments import FlowArguments
from devstack.flows.child_processes import describe_children
from devstack.flows.effective_settings import Settings, pod_settings, process_settings
from devstack.flows.environment import FlowEnvironment
from devstack.flows.pods import describe_pod
from devstack.flows.setting_changes import find_changes
from devstack.flows.settings_probe import probe_settings
from devstack.flows.source import FlowSource
from devstack.kube.client import Object
from devstack.waits import Clock

FIRST_PROBE = 15.0
"""Seconds without progress after which the services are tried."""

PROBE_INTERVAL = 40.0
"""Seconds until they are tried again, doubled each time."""


_NO_PROGRESS = re.compile(r"Task is starting \(|[Rr]etrying|\[WARNING\]|Transient")
"""Metaflow's lines about a pod that is starting, and about requests that it repeats."""


class StallWatch:
    """Watches one run.

    Args:
        source: the flow.
        arguments: its arguments, which may name another datastore.
        env: what its process needs from the stack.
        variables: the environment with which the process was started.
        clock: measures the silence.

    Attributes:
        note: what is known about a run that is silent; empty otherwise.
    """

    def __init__(
        self,
        source: FlowSource,
        arguments: FlowArguments,
        env: FlowEnvironment,
        variables: Mapping[str, str],
        clock: Clock,
    ) -> None:
        self.note = ""
        self._source = source
        self._arguments = arguments
        self._env = env
        self._variables = variables
        self._clock = clock
        self._pods: frozenset[tuple[str, str]] = frozenset()
        self._reported: set[str] = set()
        self._probe: _Probe | None = None
        self._since = clock.now()
        self._next_probe, self._interval = FIRST_PROBE, PROBE_INTERVAL

    def take_line(self, line: str) -> None:
        """Count a line of output as progress, unless Metaflow says that it waits or retries."""
        if line.strip() and not _NO_PROGRESS.search(line):
            self._restart()

    def observe(self, pid: int, pods: Sequence[Object]) -> list[str]:
        """Return new sentences about what a silent run waits for.

        Args:
            pid: the flow's process.
            pods: the run's pods as the API has them.
        """
        now = frozenset((pod["metadata"]["name"], describe_pod(pod).phase) for pod in pods)
        if now != self._pods:
            self._pods = now
            self._restart()
        silent = self._clock.now() - self._since
        if self._probe and not self._probe.is_alive():
            probe, self._probe = self._probe, None
            return self._judge(probe, pid)
        if silent >= self._next_probe and not self._probe:
            self._next_probe = silent + self._interval
            self._interval *= 2
            settings = self._settings(pods)
            self._probe = _Probe(silent, settings, self._source, self._arguments, self._env)
            self._probe.start()
        return []

    def _restart(self) -> None:
        self._since = self._clock.now()
        self._next_probe, self._interval = FIRST_PROBE, PROBE_INTERVAL
        self.note = ""

    def _judge(self, probe: _Probe, pid: int) -> list[str]:
        found = [sentence for sentence in probe.problems if sentence not in self._reported]
        self._reported.update(found)
        if not probe.problems:
            parts = [f"no output for {probe.silent:.0f} s"]
            if probe.answering:
                parts.append(f"{' and '.join(sorted(probe.answering))} can be used")
            if running := describe_children(pid):
                parts.append(f"running: {', '.join(running[:3])}")
            self.note = "; ".join(parts)
            return []
        self.note = probe.problems[0]
        return [f"no progress for {probe.silent:.0f} s: {sentence}" for sentence in found]

    def _settings(self, pods: Sequence[Object]) -> dict[str, Settings]:
        """Return the settings to try, by what has them; a pod for each step that runs."""
        changes = find_changes(self._source.path)
        file = self._source.path
        in_pods = self._running(pods)
        here = [change for change in changes if change.step not in in_pods]
        own = process_settings(self._variables, self._env.environment, here, file)
        found = {"": own}
        for step, pod in in_pods.items():
            name = f"step {step} in pod {pod['metadata']['name']}"
            found[name] = pod_settings(self._env.kube, pod, self._variables, changes, file)
        return found

    def _running(self, pods: Sequence[Object]) -> dict[str, Object]:
        running = {}
        for pod in pods:
            task = describe_pod(pod)
            if task.phase == "Running" and task.started:
                running[task.step] = pod
        return running


class _Probe(Thread):
    """Tries the services in the background, so that Ctrl-C and the pods are still observed."""

    def __init__(
        self,
        silent: float,
        settings: Mapping[str, Settings],
        source: FlowSource,
        arguments: FlowArguments,
        env: FlowEnvironment,
    ) -> None:
        super().__init__(daemon=True)
        self.silent = silent
        self.problems: list[str] = []
        self.answering: set[str] = set()
        self._settings = settings
        self._source = source
        self._options = dict(arguments.values_of("--datastore", "--metadata"))
        self._env = env

    def run(self) -> None:
        with ThreadPoolExecutor(len(self._settings)) as pool:
            tries = [pool.submit(self._try, *each) for each in self._settings.items()]
        for each in tries:
            with suppress(Exception):  # a failed attempt to explain must not end the run
                self.problems += [new for new in each.result() if new not in self.problems]

    def _try(self, place: str, settings: Settings) -> list[str]:
        """Return what does not work with the settings of a process or a pod."""
        problems = []
        stacks = self._env.environment.get("KUBECONFIG", "")
        result = probe_settings(
            self._env.python,
            settings.variables,
            self._source.path,
            datastore=self._options.get("--datastore", ""),
            metadata=self._options.get("--metadata", ""),
            # A pod has no kubeconfig.
            kubeconfig="" if place else stacks,
        )
        for check in result.checks:
            if check.problem:
                keys = f"; its keys are from {check.keys}" if _unusual(check.keys) else ""
                origin = settings.origin_for(check.service, check.address, result.changed)
                problems.append(f"{place + ': ' if place else ''}{check}{keys}; {origin}")
            else:
                self.answering.add(check.service)
        return problems


def _unusual(method: str) -> bool:
    return method not in ("", "env")
