"""Settings that a flow's file changes, and where: ``os.environ``, ``@environment``."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from devstack.flows.source import step_of
from devstack.flows.syntax_trees import find_module

SETTINGS = (
    "AWS_",
    "BOTO",
    "METAFLOW_HOME",
    "METAFLOW_PROFILE",
    "METAFLOW_DATASTORE",
    "METAFLOW_DATATOOLS",
    "METAFLOW_DEFAULT_DATASTORE",
    "METAFLOW_DEFAULT_METADATA",
    "METAFLOW_METADATA",
    "METAFLOW_SERVICE_",
    "METAFLOW_S3_",
    "METAFLOW_KUBERNETES_NAMESPACE",
    "KUBECONFIG",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "SSL_CERT_",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
)
"""How the names begin of variables that decide which services a flow reaches, and as whom."""


@dataclass(frozen=True)
class SettingChange:
    """A variable that a flow's file sets.

    Attributes:
        name: the variable.
        value: its value; None if the file computes it, or removes the variable.
        line: the line.
        step: the step that sets it; empty for what the file does when it is imported.
        default: True if the variable keeps a value that it has.
        decorator: True if ``@environment`` sets it.
    """

    name: str
    value: str | None
    line: int
    step: str = ""
    default: bool = False
    decorator: bool = False


def is_setting(name: str) -> bool:
    """Return True for a variable that decides which services a flow reaches."""
    return name.upper().startswith(SETTINGS)


def find_changes(path: Path) -> list[SettingChange]:
    """Return the settings that a flow's file changes, as far as its text shows them."""
    found = {(change.name, change.line): change for change in _all_changes(_parse(path))}
    return [change for change in found.values() if is_setting(change.name)]


def find_environment(path: Path) -> list[SettingChange]:
    """Return the variables that ``@environment`` sets in a flow's file."""
    return [change for change in _all_changes(_parse(path)) if change.decorator]


def _parse(path: Path) -> ast.Module:
    """Return the file's syntax tree; an empty one if it cannot be read."""
    return find_module(path) or ast.Module([], [])


def _all_changes(tree: ast.Module) -> Iterator[SettingChange]:
    """Yield the changes of the file, then again those within a step, with the step's name."""
    for node in ast.walk(tree):
        yield from _changes(node)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and step_of(node):
            for decorator in node.decorator_list:
                yield from _environment_decorator(decorator, node.name)
            for inner in ast.walk(node):
                for change in _changes(inner):
                    yield replace(change, step=node.name)


def _changes(node: ast.AST) -> Iterator[SettingChange]:
    if isinstance(node, (ast.Assign, ast.AugAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            if isinstance(target, ast.Subscript) and _is_environ(target.value):
                yield from _pair(target.slice, node.value, node.lineno)
    elif isinstance(node, ast.Delete):
        for target in node.targets:
            if isinstance(target, ast.Subscript) and _is_environ(target.value):
                yield from _pair(target.slice, None, node.lineno)
    elif isinstance(node, ast.Call):
        yield from _call(node)


def _call(node: ast.Call) -> Iterator[SettingChange]:
    """Yield what ``os.environ.update(...)``, ``setdefault``, ``pop`` and ``os.putenv`` change."""
    function = node.func
    if not isinstance(function, ast.Attribute) or not node.args + node.keywords:
        return
    if function.attr == "putenv" and len(node.args) == 2:
        yield from _pair(node.args[0], node.args[1], node.lineno)
    elif not _is_environ(function.value):
        return
    elif function.attr == "update":
        yield from _update(node)
    elif function.attr in ("setdefault", "pop") and node.args:
        default = function.attr == "setdefault"
        value = node.args[1] if default and len(node.args) == 2 else None
        for change in _pair(node.args[0], value, node.lineno):
            yield replace(change, default=default)


def _update(node: ast.Call) -> Iterator[SettingChange]:
    for argument in node.args:
        if isinstance(argument, ast.Dict):
            yield from _pairs(argument)
    for keyword in node.keywords:
        if keyword.arg:
            yield from _pair(ast.Constant(keyword.arg), keyword.value, node.lineno)


def _environment_decorator(decorator: ast.expr, step: str) -> Iterator[SettingChange]:
    if not isinstance(decorator, ast.Call):
        return
    function = decorator.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    if name != "environment":
        return
    for keyword in decorator.keywords:
        if keyword.arg == "vars" and isinstance(keyword.value, ast.Dict):
            for change in _pairs(keyword.value):
                yield replace(change, step=step, decorator=True)


def _pairs(node: ast.Dict) -> Iterator[SettingChange]:
    for key, value in zip(node.keys, node.values, strict=True):
        if key is not None:
            yield from _pair(key, value, key.lineno)


def _pair(key: ast.AST, value: ast.AST | None, line: int) -> list[SettingChange]:
    if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
        return []
    literal = value.value if isinstance(value, ast.Constant) else None
    text = literal if isinstance(literal, str) else None
    return [SettingChange(key.value, text, line)]


def _is_environ(node: ast.AST) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return name == "environ"
