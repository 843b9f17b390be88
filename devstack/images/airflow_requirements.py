"""Python packages that users add to Airflow: what they need beside its own, and conflicts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from devstack.errors import DevstackError, ExitStatus
from devstack.images import versions
from devstack.images.artifact_cache import ArtifactCache, digest
from devstack.images.machine import architecture
from devstack.images.python_packages import install_packages, resolve_packages
from devstack.images.recipes.airflow import LOCK
from devstack.process import Runner
from devstack.progress import Progress, step

_PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)(?:\[[^]]*\])?==([^\s;\\]+)", re.MULTILINE)
_WANTED = re.compile(r"^\s*(The user requested (?!\(constraint\)).+|\S+ \S+ depends on .+)$", re.M)
_PINNED = re.compile(r"^\s*The user requested \(constraint\) (\S+)$", re.MULTILINE)
_CONFLICT = re.compile(r"conflicting dependencies|unsatisfiable|ResolutionImpossible")
_ERROR = re.compile(r"^\s*(?:ERROR|error|\u00d7|\u2570\u2500\u25b6):?\s*(.+)$", re.MULTILINE)


@dataclass(frozen=True)
class AirflowRequirements:
    """Packages that Airflow's pods get in addition to its own.

    Attributes:
        text: lines of a requirements file.
    """

    text: str

    @property
    def key(self) -> str:
        """The digest of everything that the packages are made from."""
        return digest(self.text, LOCK, versions.TASK_PYTHON, architecture())

    def install(self, runner: Runner, progress: Progress, cache: ArtifactCache) -> Path:
        """Return the folder of the packages, filled now if it is not in the cache.

        Raises:
            DevstackError: ``REQUIREMENT_CONFLICT`` or ``REQUIREMENT_FAILED``.
        """

        def install(path: Path) -> None:
            with step(progress, "Install the requirements of DAGs"):
                with cache.scratch("airflow-requirements") as scratch:
                    missing = self._missing(runner, scratch)
                path.mkdir(parents=True)
                if missing:
                    install_packages(runner, path, ["--no-deps", *missing], versions.TASK_PYTHON)

        return cache.make("airflow-requirements", self.key, install)

    def _missing(self, runner: Runner, scratch: Path) -> list[str]:
        """Return the packages that the image lacks, as NAME==VERSION."""
        wanted, constraints = scratch / "requirements.txt", scratch / "constraints.txt"
        wanted.write_text(self.text)
        pins = pinned_versions(LOCK.read_text())
        constraints.write_text("".join(f"{name}=={each}\n" for name, each in pins.items()))
        try:
            found = resolve_packages(runner, wanted, constraints, versions.TASK_PYTHON)
        except DevstackError as error:
            if error.code == "PIP_MISSING":
                raise
            raise requirement_error(error.output or str(error)) from error
        return [each for each in found if _normal(each.partition("==")[0]) not in pins]


def pinned_versions(lock: str) -> dict[str, str]:
    """Return the versions in a lock, by the normalized names of the packages."""
    return {_normal(name): version for name, version in _PIN.findall(lock)}


def requirement_error(output: str) -> DevstackError:
    """Return the error for requirements that cannot be installed, from what pip or uv wrote."""
    wanted, pinned = _WANTED.findall(output), _PINNED.findall(output)
    if pinned or _CONFLICT.search(output):
        reasons = "; ".join(
            each.strip().replace("The user requested", "wanted:") for each in wanted
        )
        pins = ", ".join(dict.fromkeys(pinned))
        return DevstackError(
            "the requirements of DAGs conflict with Airflow's own packages",
            cause=f"{reasons}; pinned by Airflow: {pins}" if pins else _last_error(output),
            remedy="change the requirement so that it allows the pinned version; nothing was "
            "restarted",
            code="REQUIREMENT_CONFLICT",
            exit_status=ExitStatus.USAGE,
            output=output,
        )
    return DevstackError(
        "cannot install the requirements of DAGs",
        cause=_last_error(output),
        remedy="correct the requirement (only packages with wheels can be installed), or check "
        "pip's index settings; nothing was restarted",
        code="REQUIREMENT_FAILED",
        exit_status=ExitStatus.USAGE,
        output=output,
    )


def _last_error(output: str) -> str:
    errors = _ERROR.findall(output)
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return (errors or lines or ["no reason given"])[-1]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.partition("[")[0].strip()).lower()
