"""The check of what removed stacks left in the engine."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from devstack.doctor.check import Check, Fault, Finding
from devstack.doctor.engine import require_engine
from devstack.owner import Owner
from devstack.paths import state_home
from devstack.stack import Stack


def _leftovers(stack: Stack) -> list[Finding]:
    home = state_home()
    lost: dict[str, list[str]] = defaultdict(list)
    for each in require_engine(stack).engine_objects():
        folder = Path(each.owner.directory)
        # Other homes may belong to other machines, or be mounted only at times.
        same_home = Owner.of(home / folder.name).matches(each.owner)
        if same_home and not folder.exists():
            lost[folder.name].append(f"{each.kind} {each.name}")
    return [
        Finding(
            f"the directory of stack {name!r} is gone, but not its {', '.join(sorted(found))}",
            f"devstack down --name {name} removes it",
            "LEFTOVERS",
            "warning",
        )
        for name, found in sorted(lost.items())
    ]


LEFTOVERS_CHECKS = (
    Check(
        "leftovers",
        "nothing of removed stacks is left in the engine",
        _leftovers,
        (
            Fault(
                "LEFTOVERS",
                "A stack's directory was deleted by hand; its network, volume or nodes remain.",
                "`devstack down --name NAME` removes them.",
                "warning",
            ),
        ),
    ),
)
