"""Addresses of indexes in settings: which of them pods reach."""

from __future__ import annotations

import re

_REMOTE = re.compile(r"(?:[\w.-]+=)?https?://", re.ASCII | re.IGNORECASE)
"""A URL, in uv's variables after the index's name; all else is a folder of this machine."""


def is_remote(address: str) -> bool:
    """Return True if the address is no folder of this machine."""
    return _REMOTE.match(address.strip()) is not None


def keep_remote(value: str, separator: str = "") -> str:
    """Return a list of addresses without folders of this machine.

    Args:
        value: one or more addresses.
        separator: what is between them; white space by default.

    Returns:
        The value as it is, if there is nothing to leave out.
    """
    entries = [each for each in value.split(separator or None) if each.strip()]
    kept = [each for each in entries if is_remote(each)]
    return value if kept == entries else (separator or " ").join(kept)
