"""Completing the sources of published Go modules that do not compile as they are."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from devstack.images.programs import Program
from devstack.process import Runner

_UNUSED = ("docs", "examples", "manifests", "sdks", "test")
"""Folders at the root of a published module that no program is compiled from."""


def complete(
    program: Program, folder: Path, runner: Runner, go: str, environment: Mapping[str, str]
) -> Path:
    """Return the folder to compile a program in: its module's, or a copy with what is missing.

    ``-overlay`` cannot add files to a published module: Go refuses to replace files in its
    module cache.  So the published module is copied too, and the copy of go.mod refers to it by
    a relative path, which leaves no folder of this machine in the program.

    Args:
        program: the program.
        folder: where to put the copies; it does not exist yet.
        runner: starts Go.
        go: the `go` program.
        environment: the variables of Go.

    Raises:
        DevstackError: the published module cannot be fetched.
    """
    missing = program.missing
    if missing is None:
        return program.module
    argv = [go, "mod", "download", "-json", missing.module]
    result = runner.run(argv, cwd=program.module, env=environment)
    published = Path(json.loads(result.stdout)["Dir"])
    folder.mkdir()
    for name in ("go.mod", "go.sum"):
        shutil.copyfile(program.module / name, folder / name)
    _copy_tree(published, folder / "published", *_UNUSED)
    _copy_tree(program.module / missing.folder, folder / "published" / missing.target)
    for link, target in missing.links.items():
        shutil.copyfile(folder / "published" / target, folder / "published" / link)
    argv = [go, "mod", "edit", f"-replace={missing.module}=./published"]
    runner.run(argv, cwd=folder, env=environment)
    return folder


def _copy_tree(source: Path, target: Path, *without: str) -> None:
    """Copy a folder; files in Go's module cache are read-only, their copies are not."""

    def unwanted(folder: str, names: list[str]) -> set[str]:
        return set(without) & set(names) if Path(folder) == source else set()

    shutil.copytree(
        source, target, ignore=unwanted, copy_function=shutil.copyfile, dirs_exist_ok=True
    )
