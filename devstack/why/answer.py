"""The answer of `devstack why`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class NodeAnswer:
    """Whether pods fit on a node.

    Attributes:
        name: the node's name.
        free: what is free of the requested resources: "2 cpu, 512 MiB memory".
        fits: how many of the pods fit on this node now.
        unfit_reason: what keeps the next pod off it; empty if one more fits.
    """

    name: str
    free: str
    fits: int
    unfit_reason: str = ""


@dataclass(frozen=True)
class Answer:
    """Why something does not run.

    Attributes:
        subject: what the answer is about: ``JobSet metaflow/js-1a2b3c``.
        state: "running", "waiting", "stuck" if waiting cannot help, "ended" or "failed".
        because: the reason in full sentences.
        remedy: what to do; empty if there is nothing to do.
        nodes: how the pods fit each node, if capacity is the reason and the gang
            controller has not reported it.
        holders: the workloads that hold the resources, the largest first.
    """

    subject: str
    state: str
    because: str
    remedy: str = ""
    nodes: Sequence[NodeAnswer] = field(default=())
    holders: Sequence[str] = field(default=())

    @property
    def paragraph(self) -> str:
        """The answer as text."""
        return f"{self.subject} {_VERBS[self.state]}: {self.because}"


_VERBS = {
    "running": "runs",
    "waiting": "waits",
    "stuck": "cannot run",
    "ended": "has ended",
    "failed": "has failed",
}
