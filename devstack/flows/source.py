"""Parse a flow's file before it runs."""

from __future__ import annotations

import ast
import difflib
import errno
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from devstack.errors import DevstackError, ExitStatus
from devstack.flows.base_classes import read_base_classes
from devstack.flows.syntax_trees import parse_module

PLATFORMS = ("kubernetes", "batch")
"""Decorators that decide where a step runs."""

_PARAMETERS = ("Parameter", "IncludeFile")


@dataclass(frozen=True)
class FlowSource:
    """A file that contains a flow.

    Attributes:
        path: the file, as the user named it.
        steps: each step of the file with its platform's decorator; empty if it has none.
        decorators: the names of the decorators in the file, and in those of base classes.
        parameters: the names of the flow's parameters, as far as these files show them.
    """

    path: Path
    steps: Mapping[str, str] = field(default_factory=dict)
    decorators: frozenset[str] = frozenset()
    parameters: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """The file's name without its suffix; the log's name begins with it."""
        return self.path.stem


def read_source(path: Path) -> FlowSource:
    """Parse a flow's file.

    Raises:
        DevstackError: ``FLOW_UNKNOWN``, ``FLOW_UNREADABLE`` or ``FLOW_SYNTAX``.
    """
    tree = _parse(path, _read(path))
    nodes = list(ast.walk(tree))
    inherited = [node for module in read_base_classes(path, tree) for node in ast.walk(module)]
    return FlowSource(
        path,
        steps={name: platform for node in nodes for name, platform in step_of(node)},
        decorators=frozenset(name for node in [*nodes, *inherited] for name in _decorators(node)),
        parameters=frozenset(name for node in [*nodes, *inherited] for name in _parameter(node)),
    )


def unknown_flow(name: str, known: list[str]) -> DevstackError:
    """Return the error for a name that is neither a file nor a sample.

    Args:
        name: what the user typed.
        known: samples, and files in the same folder.
    """
    closest = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    suggestion = f"did you mean {' or '.join(closest)}? " if closest else ""
    return DevstackError(
        f"cannot find the flow {name!r}",
        cause="there is no such file, and no sample of that name",
        remedy=f"{suggestion}`devstack run --list` shows the samples",
        code="FLOW_UNKNOWN",
        exit_status=ExitStatus.USAGE,
    )


def _read(path: Path) -> bytes:
    try:
        # The flow's own process reads it again, which a pipe or a terminal does not allow.
        if path.exists() and not path.is_dir() and not path.is_file():
            raise OSError(errno.EINVAL, "it is not a regular file")
        return path.read_bytes()
    except FileNotFoundError:
        raise unknown_flow(str(path), [str(each) for each in _neighbours(path)]) from None
    except OSError as error:
        raise DevstackError(
            f"cannot read the flow {path}",
            cause=error.strerror or str(error),
            remedy="name a Python file with a flow in it",
            code="FLOW_UNREADABLE",
            exit_status=ExitStatus.USAGE,
        ) from error


def _neighbours(path: Path) -> list[Path]:
    return sorted(path.parent.glob("*.py")) if path.parent.is_dir() else []


def _parse(path: Path, text: bytes) -> ast.Module:
    try:
        return parse_module(text, path)
    except (SyntaxError, ValueError) as error:
        raise _syntax_error(path, error) from error


def _syntax_error(path: Path, error: SyntaxError | ValueError) -> DevstackError:
    line = getattr(error, "lineno", None)
    place = f"{path}:{line}" if line else str(path)
    return DevstackError(
        f"cannot run {path}",
        cause=f"{place}: {getattr(error, 'msg', error)}",
        remedy="correct that line, then run the command again",
        code="FLOW_SYNTAX",
        exit_status=ExitStatus.USAGE,
        output=_marked(error),
    )


def _marked(error: SyntaxError | ValueError) -> str:
    """Return the line of the error with a caret below its column."""
    text = (getattr(error, "text", None) or "").rstrip()
    offset = getattr(error, "offset", None)
    if not text or not offset:
        return text
    return f"{text}\n{' ' * (offset - 1)}^"


def step_of(node: ast.AST) -> list[tuple[str, str]]:
    """Return the name and the platform of a step; nothing for any other node."""
    names = _decorators(node) if isinstance(node, ast.FunctionDef) else []
    if "step" not in names or not isinstance(node, ast.FunctionDef):
        return []
    return [(node.name, next((each for each in PLATFORMS if each in names), ""))]


def _decorators(node: ast.AST) -> list[str]:
    if not isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return []
    return [_call_name(decorator) for decorator in node.decorator_list]


def _parameter(node: ast.AST) -> list[str]:
    """Return the name in a call such as ``Parameter("n")`` or ``JSONParameter(name="n")``."""
    if not isinstance(node, ast.Call) or not _call_name(node).endswith(_PARAMETERS):
        return []
    named = [keyword.value for keyword in node.keywords if keyword.arg == "name"]
    names = [*node.args[:1], *named]
    return [
        each.value
        for each in names
        if isinstance(each, ast.Constant) and isinstance(each.value, str)
    ]


def _call_name(decorator: ast.expr) -> str:
    function = decorator.func if isinstance(decorator, ast.Call) else decorator
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""
