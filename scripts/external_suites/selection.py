"""A fixed tenth of the tests of a suite, for machines that have no time for all."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def choose_tenth(names: Sequence[str]) -> list[str]:
    """Return a tenth of the names, rounded up, in their order.

    Chosen are those whose SHA-256 is smallest: the same ones on each machine, and a test that is
    added or removed changes at most one of them.
    """
    ranked = sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())
    chosen = {*ranked[: -(-len(names) // 10)]}
    return [name for name in names if name in chosen]
