"""Names for pools that devstack makes."""

from __future__ import annotations

import re
from collections.abc import Collection

from devstack.pools.settings import NAME_MAX

_NOT_A_NAME = re.compile(r"[^a-z0-9]+")


def make_pool_name(text: str, taken: Collection[str]) -> str:
    """Return a valid name that no pool has.

    Args:
        text: what it is to resemble, such as an instance type or the name of a node group.
        taken: the names that exist.
    """
    base = _NOT_A_NAME.sub("-", text.lower()).strip("-") or "nodes"
    number = 1
    while True:
        suffix = f"-{number}" if number > 1 else ""
        name = base[: NAME_MAX - len(suffix)].strip("-") + suffix
        if name not in taken:
            return name
        number += 1
