"""Modules that define the base classes of a flow, next to the flow's file."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path

from devstack.flows.syntax_trees import find_module

MOST_MODULES = 20
"""The largest number of modules that are read for one flow."""

_ALL = "*"


def read_base_classes(flow: Path, tree: ast.Module) -> list[ast.Module]:
    """Return the modules from which a flow and its base classes import base classes.

    Python finds them next to the flow's file; others, such as Metaflow, are not read. A module
    that cannot be read or parsed is left out: Python reports it when the flow starts.

    Args:
        flow: the flow's file.
        tree: its content.
    """
    root = Path(os.path.realpath(flow)).parent
    found: dict[Path, ast.Module] = {}
    waiting = [(root / flow.name, tree, _names_of_bases(tree))]
    while waiting:
        file, module, wanted = waiting.pop(0)
        for path, name in _imports(module, wanted, file, root):
            if path in found or len(found) >= MOST_MODULES:
                continue
            parsed = find_module(path)
            if parsed is not None:
                found[path] = parsed
                # A package may import the class from one of its modules.
                waiting.append((path, parsed, _names_of_bases(parsed) | {name}))
    return list(found.values())


def _names_of_bases(module: ast.Module) -> set[str]:
    """Return the names that base classes begin and end with: ``base`` and ``F`` of ``base.F``."""
    bases = [
        base for node in ast.walk(module) if isinstance(node, ast.ClassDef) for base in node.bases
    ]
    words = [
        ast.unparse(base).split(".")
        for base in bases
        if isinstance(base, (ast.Name, ast.Attribute))
    ]
    return {word for parts in words for word in (parts[0], parts[-1])}


def _imports(
    module: ast.Module, wanted: set[str], file: Path, root: Path
) -> Iterator[tuple[Path, str]]:
    """Yield the files that define one of the wanted names, with the name that it has there."""
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom):
            above = min(node.level, len(file.parents))
            folder = file.parents[above - 1] if above else root
            for alias in node.names:
                if (alias.asname or alias.name) in wanted or alias.name == _ALL:
                    for dotted in (node.module or "", f"{node.module or ''}.{alias.name}"):
                        yield from ((path, alias.name) for path in _files(folder, dotted))
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if (alias.asname or alias.name.partition(".")[0]) in wanted:
                    yield from ((path, "") for path in _files(root, alias.name))


def _files(folder: Path, dotted: str) -> Iterator[Path]:
    """Yield the file of a module below a folder, if it is there."""
    *packages, last = [name for name in dotted.split(".") if name] or [""]
    place = folder.joinpath(*packages)
    for path in (place / f"{last}.py", place / last / "__init__.py"):
        if os.path.isfile(path):
            yield path
            return
