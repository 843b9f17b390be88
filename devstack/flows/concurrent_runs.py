"""A sample that is run twice at once, for room that is enough for one."""

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
from devstack.flows.verify import Finding
from devstack.kube.api_errors import ApiError, UnreachableError
from devstack.kube.capacity import measure_capacity
from devstack.kube.client import Object
from devstack.kube.gangs import Gang, list_gangs

RANKS = 4
LOOK_SECONDS = 0.5

_SHARE = Decimal("0.65")
"""Of the free cpu that one flow asks for: one fits with room to spare, two do not."""


@dataclass(frozen=True)
class ConcurrentRuns:
    """Two runs of one flow that start together.

    Attributes:
        call: how each of them is run.
        env: the stack.
    """

    call: FlowCall
    env: FlowEnvironment

    def run(self) -> tuple[list[FlowResult], int]:
        """Run both to their end; return how they ended, and how many of their pods fit at once.

        Raises:
            DevstackError: ``NO_ROOM`` where not even one would fit.
            KeyboardInterrupt: they were interrupted, and are stopped.
        """
        over = Event()
        with tempfile.TemporaryDirectory(prefix="devstack-") as meeting:
            free = self._free_cpu()
            cpu = share_of_room(free, RANKS)
            env = self._with_share(cpu, Path(meeting))
            with ThreadPoolExecutor(3) as pool:
                watcher = pool.submit(self._watch, over)
                runs = [pool.submit(run_flow, self._call(number), env) for number in (1, 2)]
                wait(runs)
                over.set()
                watcher.result()
            return [run.result() for run in runs], slots(free, cpu)

    def _call(self, number: int) -> FlowCall:
        told = self.call.on_line
        # The watcher tells what the pods do, of both flows at once.
        return replace(
            self.call,
            on_line=lambda line: told(f"[{number}] {line}"),
            note=lambda _text: None,
            log_name=f"{self.call.source.name}-{number}",
        )

    def _with_share(self, cpu: Decimal, meeting: Path) -> FlowEnvironment:
        settings = {
            "GANG_RANKS": str(RANKS),
            "GANG_CPU": str(cpu),
            "GANG_MEETING": str(meeting),
        }
        return replace(self.env, environment={**self.env.environment, **settings})

    def _free_cpu(self) -> list[Decimal]:
        """Return each node's cpu that is free once all tasks have ended."""
        rooms = measure_capacity(self.env.kube, lambda pod: not _is_task(pod))
        open_to_all = [room for room in rooms if not room.node["spec"].get("taints")]
        return [room.free.get("cpu", Decimal(0)) for room in open_to_all]

    def _watch(self, over: Event) -> None:
        said = ""
        while not over.wait(LOOK_SECONDS):
            try:
                text = describe(list_gangs(self.env.kube, self.env.namespace))
            except (ApiError, UnreachableError):
                continue
            if text and text != said:
                self.call.note(text)
                said = text


def share_of_room(free: Sequence[Decimal], ranks: int) -> Decimal:
    """Return the cpu for each rank with which one flow fits, and two do not.

    Args:
        free: the free cpu of each node, in cores.
        ranks: pods of a flow.

    Raises:
        DevstackError: ``NO_ROOM``.
    """
    cpu = sum(free, Decimal(0)) * _SHARE / ranks
    step = Decimal("0.01")
    while cpu >= step:
        cpu = cpu.quantize(step)
        if ranks <= slots(free, cpu) < 2 * ranks:
            return cpu
        cpu -= step
    raise DevstackError(
        "cannot find a size at which one flow fits and two do not",
        cause=f"the nodes have {', '.join(f'{each:f}' for each in free) or 'no'} cpu free",
        remedy="end what else runs, or use fewer nodes",
        code="NO_ROOM",
        exit_status=ExitStatus.ENVIRONMENT,
    )


def slots(free: Sequence[Decimal], cpu: Decimal) -> int:
    """Return how many pods fit at the same time.

    Args:
        free: the free cpu of each node, in cores.
        cpu: what each pod asks for, in cores.
    """
    return sum(max(0, int(each / cpu)) for each in free)


def describe(gangs: Sequence[Gang]) -> str:
    """Return in one line which gangs have how many of their nodes."""
    return " | ".join(_describe_one(gang) for gang in gangs)


def check_rivals(results: Sequence[FlowResult], fit: int) -> list[Finding]:
    """Check by the times at which pods got their nodes that one ran whole, then the other.

    A scheduler binds one pod after another, on a busy machine over seconds. So the
    measure is not how close together that was, but that there was room for all
    when the first of them got a node.

    Args:
        results: the two runs.
        fit: how many of their pods fit at the same time.
    """
    gangs = [[_times(pod) for pod in gang_pods(each)] for each in results]
    if not all(gangs) or not all(each.ended for gang in gangs for each in gang):
        return [Finding("every pod got a node, and ended", ok=False, saw="some never did")]
    first, second = sorted(gangs, key=_first_bound)
    must_end = max(1, len(first) + len(second) - fit)
    room_for_all = sorted(each.ended for each in first)[must_end - 1]
    return [
        _finding(
            "both asked for the room at the same time",
            max(each.created for each in [*first, *second]) < min(each.ended for each in first),
        ),
        _finding("all pods of the first had a node at once", _were_together(first)),
        _finding(
            "before the second had any",
            max(each.bound for each in first) <= _first_bound(second),
        ),
        _finding("all pods of the second had a node at once", _were_together(second)),
        _finding(
            "and none before the first had given back room for all of them",
            _first_bound(second) >= room_for_all,
        ),
    ]


def draw_rivals(results: Sequence[FlowResult]) -> str:
    """Return the picture of when the pods of the runs waited and had a node, as SVG."""
    groups = {f"{result.pathspec}": gang_pods(result) for result in results}
    return draw("Two gangs, room for one", groups)


def gang_pods(result: FlowResult) -> list[TaskPod]:
    """Return the pods of a run that belong to a JobSet."""
    return [pod for pod in result.pods if pod.jobset]


def _describe_one(gang: Gang) -> str:
    why = f" ({gang.message})" if gang.waits and gang.message else ""
    return f"{gang.jobset}: {gang.bound} of {gang.size} pods have a node{why}"


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


def _were_together(gang: Sequence[_Times]) -> bool:
    return max(each.bound for each in gang) <= min(each.ended for each in gang)


def _finding(what: str, holds: bool) -> Finding:
    return Finding(what, holds, "" if holds else "it was otherwise; see the picture")
