"""How the time of a run divides."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from devstack.flows.pods import TaskPod


@dataclass(frozen=True)
class Timing:
    """The seconds of a run; the last three add up to the first.

    Attributes:
        total: from the start of the flow's process to its end.
        running: at least one pod of the run was running.
        waiting: none was running, but at least one waited for its container:
            the time of Kubernetes.
        overhead: no pod existed or all had ended: the time of Metaflow itself.
    """

    total: float
    running: float
    waiting: float

    @property
    def overhead(self) -> float:
        """The time of Metaflow itself."""
        return max(0.0, self.total - self.running - self.waiting)


def measure(total: float, pods: Sequence[TaskPod]) -> Timing:
    """Return how the time of a run divides.

    Args:
        total: seconds from the start of the flow's process to its end.
        pods: all pods of the run, whose times Kubernetes keeps in whole seconds.
    """
    running = covered((pod.started, pod.ended) for pod in pods)
    existing = covered((pod.created, pod.ended) for pod in pods)
    return Timing(total, running, max(0.0, existing - running))


def covered(spans: Iterable[tuple[float | None, float | None]]) -> float:
    """Return how many seconds the spans cover together; spans without an end are ignored."""
    total, reached = 0.0, float("-inf")
    for begin, end in sorted((b, e) for b, e in spans if b is not None and e is not None):
        total += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return total
