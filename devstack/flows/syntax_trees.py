"""Syntax trees of Python files."""

from __future__ import annotations

import ast
from pathlib import Path
from threading import Lock

_PARSING = Lock()
"""CPython 3.11 counts the depth of the tree globally, so parsing in two threads fails."""


def parse_module(text: bytes, path: Path) -> ast.Module:
    """Return the syntax tree of a file's text.

    Args:
        text: the file's content.
        path: the file, which a syntax error names.

    Raises:
        SyntaxError, ValueError: it is not Python.
    """
    with _PARSING:
        return ast.parse(text, filename=str(path))


def find_module(path: Path) -> ast.Module | None:
    """Return the syntax tree of a file; None if it cannot be read or is not Python."""
    try:
        return parse_module(path.read_bytes(), path)
    except (OSError, SyntaxError, ValueError):
        return None
