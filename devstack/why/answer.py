"""The answer that `devstack why` gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class NodeAnswer:
    """A node, as far as the pods in question are concerned.

    Attributes:
        name: the node's name.
        free: what it has free of the resources asked for, as people write it.
        fits: how many of the pods fit on it now, on its own.
        unfit_reason: what keeps the next pod off it; empty where one more fits.
    """

    name: str
    free: str
    fits: int
    unfit_reason: str = ""


@dataclass(frozen=True)
class Answer:
    """Why something does not run.

    Attributes:
        subject: what was asked about: ``JobSet metaflow/js-1a2b3c``.
        state: "running", "waiting", "stuck" where waiting cannot help, "ended"
            or "failed".
        because: the reason in full sentences.
        remedy: what to do; empty where there is nothing to be done.
        nodes: the room node by node, where room is the matter.
        holders: who holds the room, the largest first.
    """

    subject: str
    state: str
    because: str
    remedy: str = ""
    nodes: Sequence[NodeAnswer] = field(default=())
    holders: Sequence[str] = field(default=())

    @property
    def paragraph(self) -> str:
        """All of it, for a person."""
        return f"{self.subject} {_VERBS[self.state]}: {self.because}"

    def as_dict(self) -> dict[str, object]:
        """Return it as JSON has it."""
        return asdict(self)


_VERBS = {
    "running": "runs",
    "waiting": "waits",
    "stuck": "cannot run",
    "ended": "has ended",
    "failed": "has failed",
}
