"""A flow's file, read before it is run."""

from __future__ import annotations

import ast
import difflib
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from devstack.errors import DevstackError, ExitStatus

_PLATFORMS = frozenset({"kubernetes", "batch"})
_PARSING = Lock()
"""CPython 3.11 counts how deep it is in a tree once for all threads, and fails on two at once."""


@dataclass(frozen=True)
class FlowSource:
    """A file that has a flow in it.

    Attributes:
        path: the file, as the user named it.
        names_platform: True where a step says itself on which platform it runs.
    """

    path: Path
    names_platform: bool

    @property
    def name(self) -> str:
        """The file's name without its ending; names the run's log."""
        return self.path.stem


def read_source(path: Path) -> FlowSource:
    """Return what stands in a flow's file.

    Raises:
        DevstackError: ``FLOW_UNKNOWN``, ``FLOW_UNREADABLE`` or ``FLOW_SYNTAX``.
    """
    tree = _parse(path, _read(path))
    return FlowSource(path, names_platform=any(_is_platform(node) for node in ast.walk(tree)))


def unknown_flow(word: str, known: list[str]) -> DevstackError:
    """Return the error for a word that is neither a file nor a sample.

    Args:
        word: what the user typed.
        known: what could have been meant: samples, and files nearby.
    """
    near = difflib.get_close_matches(word, known, n=3, cutoff=0.5)
    meant = f"did you mean {' or '.join(near)}? " if near else ""
    return DevstackError(
        f"cannot find the flow {word!r}",
        cause="there is no such file, and no sample of that name",
        remedy=f"{meant}`devstack run --list` shows the samples",
        code="FLOW_UNKNOWN",
        exit_status=ExitStatus.USAGE,
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise unknown_flow(str(path), [str(each) for each in _neighbours(path)]) from None
    except OSError as refused:
        raise DevstackError(
            f"cannot read the flow {path}",
            cause=refused.strerror or str(refused),
            remedy="name a Python file with a flow in it",
            code="FLOW_UNREADABLE",
            exit_status=ExitStatus.USAGE,
        ) from refused


def _neighbours(path: Path) -> list[Path]:
    return sorted(path.parent.glob("*.py")) if path.parent.is_dir() else []


def _parse(path: Path, text: bytes) -> ast.Module:
    try:
        with _PARSING:
            return ast.parse(text, filename=str(path))
    except (SyntaxError, ValueError) as wrong:
        raise _syntax_error(path, wrong) from wrong


def _syntax_error(path: Path, wrong: SyntaxError | ValueError) -> DevstackError:
    line = getattr(wrong, "lineno", None)
    place = f"{path}:{line}" if line else str(path)
    return DevstackError(
        f"cannot run {path}",
        cause=f"{place}: {getattr(wrong, 'msg', wrong)}",
        remedy="correct that line, then run the command again",
        code="FLOW_SYNTAX",
        exit_status=ExitStatus.USAGE,
        output=_marked(wrong),
    )


def _marked(wrong: SyntaxError | ValueError) -> str:
    """Return the wrong line with a mark below the place that the parser dislikes."""
    text = (getattr(wrong, "text", None) or "").rstrip()
    offset = getattr(wrong, "offset", None)
    if not text or not offset:
        return text
    return f"{text}\n{' ' * (offset - 1)}^"


def _is_platform(node: ast.AST) -> bool:
    if not isinstance(node, ast.FunctionDef):
        return False
    return any(_called(decorator) in _PLATFORMS for decorator in node.decorator_list)


def _called(decorator: ast.expr) -> str:
    function = decorator.func if isinstance(decorator, ast.Call) else decorator
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""
