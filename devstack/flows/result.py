"""How a run ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from devstack.flows.pods import TaskPod
from devstack.flows.timing import Timing
from devstack.waits import Failed


@dataclass(frozen=True)
class PodLog:
    """The end of a failed pod's log."""

    pod: str
    step: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class FlowResult:
    """A run that has ended.

    Attributes:
        name: the flow's file, without its suffix.
        flow: the flow's class; empty if no flow started.
        run_id: the run's id; empty if no flow started.
        returncode: the exit status of the flow's process.
        stop_reason: why devstack stopped the run, or None.
        timing: how the time divides.
        pods: the run's pods.
        places: where each step ran.
        stalls: what the run waited for while it made no progress.
        output: the last lines that the flow printed.
        failed: the ends of the failed pods' logs.
        log: the file with the flow's complete output.
    """

    name: str
    flow: str
    run_id: str
    returncode: int
    stop_reason: Failed | None
    timing: Timing
    pods: Sequence[TaskPod]
    output: Sequence[str]
    failed: Sequence[PodLog] = field(default=())
    log: Path = Path()
    places: Mapping[str, str] = field(default_factory=dict)
    stalls: Sequence[str] = ()

    @property
    def ok(self) -> bool:
        """True if the flow ran and succeeded."""
        return self.returncode == 0 and self.stop_reason is None and bool(self.run_id)

    @property
    def pathspec(self) -> str:
        """The run as Metaflow's client names it: ``HelloFlow/1795261754359845``."""
        return f"{self.flow}/{self.run_id}"
