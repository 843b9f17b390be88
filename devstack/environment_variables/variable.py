"""A row of the table of environment variables."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Policy(str, Enum):
    """What happens to a variable of the user's environment.

    Attributes:
        OVERRIDDEN: programs see the stack's value, or none.
        KEPT: programs see the user's value.
    """

    OVERRIDDEN = "overridden"
    KEPT = "kept"


@dataclass(frozen=True)
class Variable:
    """A variable, or all variables that start with a prefix.

    Attributes:
        name: its name; a prefix if it ends with ``*``.
        program: the program that reads it.
        policy: what happens to it.
        effect: what it changes, and why it has this policy.
        value: the value that replaces the user's when devstack starts a program;
            None to unset the variable.
    """

    name: str
    program: str
    policy: Policy
    effect: str
    value: str | None = None

    @property
    def is_prefix(self) -> bool:
        """True if the row stands for all variables that start with its name."""
        return self.name.endswith("*")

    def matches(self, name: str) -> bool:
        """Return True if ``name`` is this variable, or starts with its prefix."""
        return name.startswith(self.name[:-1]) if self.is_prefix else name == self.name


def override(program: str, *groups: tuple[str, str], value: str | None = None) -> list[Variable]:
    """Return overridden variables; each group is (names separated by spaces, effect)."""
    return _rows(program, Policy.OVERRIDDEN, groups, value)


def keep(program: str, *groups: tuple[str, str]) -> list[Variable]:
    """Return kept variables; each group is (names separated by spaces, effect)."""
    return _rows(program, Policy.KEPT, groups, None)


def _rows(
    program: str, policy: Policy, groups: tuple[tuple[str, str], ...], value: str | None
) -> list[Variable]:
    return [
        Variable(name, program, policy, effect, value)
        for names, effect in groups
        for name in names.split()
    ]
