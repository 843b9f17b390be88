"""Run a sample twice at the same time, with enough capacity for one."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from threading import Event

from devstack.errors import DevstackError, ExitStatus
from devstack.flows.environment import FlowEnvironment
from devstack.flows.pods import TASK_LABELS, TaskPod
from devstack.flows.result import FlowResult
from devstack.flows.run import FlowCall, run_flow
from devstack.flows.timeline import draw
from devstack.kube.api_errors import ApiError, UnreachableError
from devstack.kube.capacity import measure_capacity
from devstack.kube.client import Object
from devstack.kube.gangs import Gang, list_gangs
from devstack.kube.shape import read_shape
from devstack.samples.checks.result import CheckResult

RANKS = 4
POLL_INTERVAL = 0.5

_SHARE = Decimal("0.65")
"""The share of the free cpu that one flow requests: one fits easily, two do not."""


@dataclass(frozen=True)
class ConcurrentRuns:
    """Two runs of one flow that start together.

    Attributes:
        call: the flow.
        env: what a flow process needs from the stack.
    """

    call: FlowCall
    env: FlowEnvironment

    def run(self) -> tuple[list[FlowResult], int]:
        """Run both; return their results, and how many of their pods fit at the same time.

        Raises:
            DevstackError: ``CPU_INSUFFICIENT`` if not even one would fit.
            KeyboardInterrupt: they were interrupted, and are stopped.
        """
        ended = Event()
        with tempfile.TemporaryDirectory(prefix="devstack-") as folder:
            free = self._free_cpu()
            cpu = cpu_per_rank(free, RANKS, read_shape(self.env.kube).real)
            env = self._environment(cpu, Path(folder))
            with ThreadPoolExecutor(3) as pool:
                reporter = pool.submit(self._report_gangs, ended)
                runs = [pool.submit(run_flow, self._call(number), env) for number in (1, 2)]
                wait(runs)
                ended.set()
                reporter.result()
            return [run.result() for run in runs], slots(free, cpu)

    def _call(self, number: int) -> FlowCall:
        on_line = self.call.on_line
        # _report_gangs reports the pods of both flows.
        return replace(
            self.call,
            on_line=lambda line: on_line(f"[{number}] {line}"),
            note=lambda _text: None,
            log_name=f"{self.call.source.name}-{number}",
        )

    def _environment(self, cpu: Decimal, meeting: Path) -> FlowEnvironment:
        settings = {
            "GANG_RANKS": str(RANKS),
            "GANG_CPU": str(cpu),
            "GANG_MEETING": str(meeting),
        }
        return replace(self.env, environment={**self.env.environment, **settings})

    def _free_cpu(self) -> list[Decimal]:
        """Return the cpu of each node that is free without any task."""
        nodes = measure_capacity(self.env.kube, lambda pod: not _is_task(pod))
        untainted = [node for node in nodes if not node.node["spec"].get("taints")]
        return [node.free.get("cpu", Decimal(0)) for node in untainted]

    def _report_gangs(self, ended: Event) -> None:
        last = ""
        while not ended.wait(POLL_INTERVAL):
            try:
                text = describe(list_gangs(self.env.kube, self.env.namespace))
            except (ApiError, UnreachableError):
                continue
            if text and text != last:
                self.call.note(text)
                last = text


def cpu_per_rank(free: Sequence[Decimal], ranks: int, real: str = "") -> Decimal:
    """Return the cpu of each rank such that one flow fits, and two do not.

    Args:
        free: the free cpu that each node offers, in cores.
        ranks: the number of pods of a flow.
        real: the machine's real size as a clause, for the error.

    Raises:
        DevstackError: ``CPU_INSUFFICIENT``.
    """
    cpu = sum(free, Decimal(0)) * _SHARE / ranks
    step = Decimal("0.01")
    while cpu >= step:
        cpu = cpu.quantize(step)
        if ranks <= slots(free, cpu) < 2 * ranks:
            return cpu
        cpu -= step
    offered = ", ".join(f"{each:f}" for each in free) or "no"
    raise DevstackError(
        "cannot find a size at which one flow fits and two do not",
        cause=f"the nodes offer {offered} cpu that is free" + (f"; {real}" if real else ""),
        remedy="stop other workloads, or use fewer nodes",
        code="CPU_INSUFFICIENT",
        exit_status=ExitStatus.ENVIRONMENT,
    )


def slots(free: Sequence[Decimal], cpu: Decimal) -> int:
    """Return the number of pods that fit at the same time.

    Args:
        free: the free cpu of each node, in cores.
        cpu: the request of each pod, in cores.
    """
    return sum(max(0, int(each / cpu)) for each in free)


def describe(gangs: Sequence[Gang]) -> str:
    """Return in one line how many pods of each gang have a node."""
    return " | ".join(_describe_one(gang) for gang in gangs)


def check_concurrent_runs(results: Sequence[FlowResult], fit: int) -> list[CheckResult]:
    """Check by the times of binding that one gang ran completely, then the other.

    The scheduler binds the pods of a gang one after another, on a busy machine over
    seconds. So the check is not how close these times are, but that there was capacity
    for all pods when the first of them was bound.

    Args:
        results: the two runs.
        fit: the number of their pods that fit at the same time.
    """
    gangs = [[_times(pod) for pod in gang_pods(each)] for each in results]
    if not all(gangs) or not all(each.ended for gang in gangs for each in gang):
        return [CheckResult("every pod was bound, and ended", ok=False, saw="some were not")]
    first, second = sorted(gangs, key=_first_bound)
    must_end = max(1, len(first) + len(second) - fit)
    all_fit_at = sorted(each.ended for each in first)[must_end - 1]
    return [
        _finding(
            "both requested resources at the same time",
            max(each.created for each in [*first, *second]) < min(each.ended for each in first),
        ),
        _finding("all pods of the first had a node at the same time", _overlap(first)),
        _finding(
            "before any pod of the second had one",
            max(each.bound for each in first) <= _first_bound(second),
        ),
        _finding("all pods of the second had a node at the same time", _overlap(second)),
        _finding(
            "and none before the first had released resources for all of them",
            _first_bound(second) >= all_fit_at,
        ),
    ]


def draw_concurrent_runs(results: Sequence[FlowResult]) -> str:
    """Return an SVG timeline of the pods of the runs."""
    groups = {f"{result.pathspec}": gang_pods(result) for result in results}
    return draw("Two gangs, capacity for one", groups)


def gang_pods(result: FlowResult) -> list[TaskPod]:
    """Return the pods of a run that belong to a JobSet."""
    return [pod for pod in result.pods if pod.jobset]


def _describe_one(gang: Gang) -> str:
    reason = f" ({gang.message})" if gang.waits and gang.message else ""
    return f"{gang.jobset}: {gang.bound} of {gang.size} pods have a node{reason}"


def _is_task(pod: Object) -> bool:
    key, _, value = TASK_LABELS.partition("=")
    return bool(pod["metadata"].get("labels", {}).get(key) == value)


@dataclass(frozen=True)
class _Times:
    created: float
    bound: float
    ended: float


def _times(pod: TaskPod) -> _Times:
    return _Times(pod.created, pod.bound or 0.0, (pod.ended or 0.0) if pod.bound else 0.0)


def _first_bound(gang: Sequence[_Times]) -> float:
    return min(each.bound for each in gang)


def _overlap(gang: Sequence[_Times]) -> bool:
    return max(each.bound for each in gang) <= min(each.ended for each in gang)


def _finding(what: str, ok: bool) -> CheckResult:
    return CheckResult(what, ok, "" if ok else "it was not so; see the timeline")
