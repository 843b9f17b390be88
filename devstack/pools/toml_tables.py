"""Pools as text of devstack.toml."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from devstack.pools.settings import PoolSettings


def pool_table(pool: PoolSettings) -> str:
    """Return the table ``[[pool]]``."""
    lines = [f"{name} = {_value(value)}" for name, value in pool.items()]
    return "\n".join(["[[pool]]", *lines, ""])


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{_key(key)} = {_value(each)}" for key, each in value.items())
        return f"{{ {pairs} }}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_value, value))}]"
    # Strings, numbers and booleans are written as in JSON.
    return json.dumps(value)


def _key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() else json.dumps(key)
