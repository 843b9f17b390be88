"""Only providers/ and docker/ know kind, minikube and Docker."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import devstack

PACKAGE = Path(devstack.__file__).parent

PROVIDER_FOLDERS = ("providers", "docker")
"""Folders that may depend on kind and Docker."""

IMAGE_FOLDERS = ("containers", "samples")
"""Folders of files that run inside images."""

EXCEPTIONS = {
    "images": "The image store is Docker's, used through devstack.docker only; kind's node image "
    "and the kind CLI are among what is built.",
    "environment_variables": "The table lists the variables of every program that devstack starts, "
    "those of kind and Docker among them.",
    "image_names.py": "docker.io is a registry.",
    "mirror_settings.py": "docker.io is a registry.",
    "cli/mirrors.py": "docker.io is a registry.",
    "cli/images_add.py": "A Dockerfile is a format of files, which users name.",
    "paths.py": "The script that installs Docker is part of the package, and messages name it.",
    "cli/paths.py": "Docker Compose is a command of users, which reads a file of devstack.",
    "kube/pull_failures.py": "docker.io is a registry; the folder of certificates is Docker's.",
    "kube/pull_secrets.py": "The type of a Secret for registries has Docker's name.",
    **dict.fromkeys(
        ("doctor/engine.py", "doctor/machine.py", "doctor/network.py", "doctor/storage.py"),
        "Causes and remedies name the settings of the engine that users know.",
    ),
    "kube/manifests.py": "`kind` is a field of a kustomization.",
}
"""Folders and files with literals that they may have, and why; imports are still checked."""

PROVIDER_NAMES = re.compile(
    r"docker|minikube|kindest|\bkind (cluster|node|cli)\b|\bKIND_", re.IGNORECASE
)


def sources() -> list[Path]:
    files = sorted(PACKAGE.rglob("*.py"))
    return [
        file
        for file in files
        if file.relative_to(PACKAGE).parts[0] not in (*PROVIDER_FOLDERS, *IMAGE_FOLDERS)
    ]


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{name.name}" for name in node.names)


def literals(tree: ast.AST) -> Iterator[str]:
    """Yield the texts of a module that are neither docstrings nor fields of Kubernetes objects."""
    for parent in ast.walk(tree):
        for child in ast.iter_child_nodes(parent):
            if not isinstance(child, ast.Constant) or not isinstance(child.value, str):
                continue
            docstring = isinstance(parent, ast.Expr)
            field = (
                (isinstance(parent, ast.Dict) and child in parent.keys)
                or (isinstance(parent, ast.Subscript) and child is parent.slice)
                or (isinstance(parent, ast.Call) and _gets_a_field(parent))
            )
            if not docstring and not (field and child.value == "kind"):
                yield child.value


def _gets_a_field(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr in ("get", "pop")


def names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name


def identify(file: Path) -> str:
    return str(file.relative_to(PACKAGE))


@pytest.mark.parametrize("file", sources(), ids=identify)
def test_only_providers_know_kind_and_docker(file: Path) -> None:
    folder = file.relative_to(PACKAGE).parts[0]
    tree = ast.parse(file.read_text())
    of_docker = "" if folder == "images" else r"devstack\.docker|"
    forbidden = re.compile(rf"({of_docker}docker|devstack\.providers\.(kind|minikube|context))\b")
    assert [name for name in imports(tree) if forbidden.match(name)] == []
    if EXCEPTIONS.keys() & {folder, file.relative_to(PACKAGE).as_posix()}:
        return
    wrong = [text for text in literals(tree) if PROVIDER_NAMES.search(text) or text == "kind"]
    wrong += [name for name in names(tree) if re.search("docker|minikube", name, re.IGNORECASE)]
    assert wrong == []


def test_every_exception_is_needed() -> None:
    for name in EXCEPTIONS:
        files = [file for file in sources() if file.is_relative_to(PACKAGE / name)]
        texts = [text for file in files for text in literals(ast.parse(file.read_text()))]
        assert any(PROVIDER_NAMES.search(text) or text == "kind" for text in texts), name
