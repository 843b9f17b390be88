"""Texts that processes in pods get: what is possible, and what the kubelet does to them."""

from __future__ import annotations

MAX_BYTES = 120_000
"""Linux's limit for one variable or argument, 128 KiB (MAX_ARG_STRLEN), with a margin."""


def unexpanded(text: str) -> str:
    """Return text that the kubelet expands to the given one.

    It replaces ``$(NAME)`` and ``$$`` in variables and commands (Kubernetes API, EnvVar and
    Container).
    """
    return text.replace("$", "$$")


def text_problem(text: str) -> str:
    """Return why no process can get this text as a variable or argument; empty if it can."""
    try:
        encoded = text.encode()
    except UnicodeEncodeError:
        return "it is not valid Unicode"
    if b"\0" in encoded:
        return "it contains the character NUL"
    if len(encoded) > MAX_BYTES:
        return f"it has {len(encoded)} bytes; a process can get {MAX_BYTES}"
    return ""
