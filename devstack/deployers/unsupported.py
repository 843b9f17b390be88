"""What an engine cannot run, as an error for the user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from devstack.errors import DevstackError, ExitStatus


@dataclass(frozen=True)
class Violation:
    """A feature of a flow that an engine does not support.

    Attributes:
        where: the step, parameter or flow.
        what: the feature.
        reason: why it is not supported.
        instead: what to use instead.
    """

    where: str
    what: str
    reason: str
    instead: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}: {self.reason}; instead: {self.instead}"


def unsupported_error(engine: str, flow: Path, violations: Sequence[Violation]) -> DevstackError:
    """Return the error that names every violation.

    Args:
        engine: the engine's name.
        flow: the flow's file.
        violations: at least one.
    """
    first, *others = violations
    more = f" (and {len(others)} more)" if others else ""
    return DevstackError(
        f"{engine} cannot run {flow}",
        cause=f"{first.where}: {first.what}: {first.reason}{more}",
        remedy=first.instead,
        code="FLOW_UNSUPPORTED",
        exit_status=ExitStatus.USAGE,
        output="\n".join(str(violation) for violation in violations) if others else "",
    )
