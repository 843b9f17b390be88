"""The Python that runs a flow: that of the user's environment, or devstack's own."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import devstack
from devstack.errors import DevstackError, ExitStatus
from devstack.process import Runner

NEEDED = ("metaflow", "boto3", "kubernetes")
"""What a flow's process imports to run steps on the stack."""

PROBE_TIMEOUT = 20.0
"""Seconds that an interpreter may take to start."""

# The current folder is left out of the path: it may contain a folder named metaflow.
_PROBE = f"""
import sys
sys.path[:] = [folder for folder in sys.path if folder]
import importlib.util, json
from importlib import metadata
missing = [name for name in {NEEDED} if importlib.util.find_spec(name) is None]
try:
    version = metadata.version("metaflow")
except metadata.PackageNotFoundError:
    version = ""
print(json.dumps([sys.executable, version, missing]))
"""


@dataclass(frozen=True)
class FlowPython:
    """An interpreter that runs flows.

    Attributes:
        path: the interpreter.
        origin: where it comes from, such as "active virtual environment".
        metaflow: the version of its Metaflow; empty if unknown.
        warnings: what the user should know about it.
    """

    path: Path
    origin: str
    metaflow: str
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"Python: {self.path} ({self.origin}), Metaflow {self.metaflow or 'unknown'}"


@dataclass(frozen=True)
class _Probe:
    path: Path
    metaflow: str
    missing: tuple[str, ...]


def find_python(chosen: str, runner: Runner, variables: Mapping[str, str]) -> FlowPython:
    """Return the interpreter for the user's flows.

    Args:
        chosen: the interpreter or the environment's folder that the user names; if empty,
            the active environment if it has Metaflow, otherwise devstack's own.
        runner: starts interpreters.
        variables: the environment of this process.

    Raises:
        DevstackError: ``PYTHON_UNUSABLE`` or ``PYTHON_INCOMPLETE``: the named interpreter
            cannot be started, or lacks packages.
    """
    if chosen:
        return _chosen_python(chosen, runner)
    without = ""
    for path, origin in _active(runner, variables):
        if path.parent.resolve() == Path(sys.executable).parent.resolve():
            break
        try:
            found = _probe(path, runner)
        except DevstackError:
            return own_python(f"the {origin} {path} cannot be started")
        if not found.missing:
            return FlowPython(found.path, origin, found.metaflow, _untested(found.metaflow))
        if "metaflow" not in found.missing:
            missing = " and ".join(found.missing)
            return own_python(
                f"the {origin} has Metaflow, but not {missing}, so devstack's own Python runs the"
                f" flow: {found.path} -m pip install {' '.join(found.missing)}"
            )
        if origin.startswith("active"):
            without = f"; the {origin} has no Metaflow"
    own = own_python()
    return replace(own, origin=own.origin + without)


def own_python(*warnings: str) -> FlowPython:
    """Return the interpreter that runs devstack."""
    from importlib import metadata

    version = metadata.version("metaflow")
    path = Path(sys.executable)
    return FlowPython(path, "devstack's own", version, (*warnings, *_untested(version)))


def pinned_metaflow() -> str:
    """Return the version of Metaflow that devstack is tested with, which the task image has."""
    lock = Path(devstack.__file__).parent / "containers" / "task" / "metaflow.lock"
    return lock.read_text().partition("==")[2].split()[0]


def _untested(version: str) -> tuple[str, ...]:
    tested = pinned_metaflow()
    if version == tested:
        return ()
    return (f"devstack is tested with Metaflow {tested}, not with {version or 'this version'}",)


def _active(runner: Runner, variables: Mapping[str, str]) -> Iterator[tuple[Path, str]]:
    """Yield the interpreters of the user's environment, the most specific first."""
    for variable, origin in (
        ("VIRTUAL_ENV", "active virtual environment"),
        ("CONDA_PREFIX", "active conda environment"),
    ):
        if variables.get(variable):
            yield Path(variables[variable]) / "bin" / "python", origin
    on_path = runner.which("python")
    if on_path:
        yield Path(on_path), "first python on PATH"


def _chosen_python(chosen: str, runner: Runner) -> FlowPython:
    folder = Path(chosen)
    path = str(folder / "bin" / "python") if folder.is_dir() else chosen
    try:
        found = _probe(Path(path) if os.sep in path else Path(runner.which(path) or path), runner)
    except DevstackError as error:
        raise DevstackError(
            f"cannot use the Python {chosen!r}",
            cause=error.cause or error.message,
            remedy="name an interpreter or the folder of a virtual environment",
            code="PYTHON_UNUSABLE",
            exit_status=ExitStatus.USAGE,
            output=error.output,
        ) from error
    if found.missing:
        raise DevstackError(
            f"cannot run flows with {found.path}",
            cause=f"it does not have {' and '.join(found.missing)}",
            remedy=f"{found.path} -m pip install {' '.join(found.missing)}",
            code="PYTHON_INCOMPLETE",
            exit_status=ExitStatus.USAGE,
        )
    return FlowPython(found.path, "--python", found.metaflow, _untested(found.metaflow))


def _probe(path: Path, runner: Runner) -> _Probe:
    """Start an interpreter and return what it has."""
    done = runner.run([str(path), "-c", _PROBE], timeout=PROBE_TIMEOUT)
    try:
        executable, version, missing = json.loads(done.stdout)
    except ValueError as error:
        raise DevstackError(f"{path} is not Python", output=done.stdout) from error
    return _Probe(Path(executable), version, tuple(missing))
