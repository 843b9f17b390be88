"""The project of a sample that installs packages with uv: pyproject.toml and uv.lock.

They are written when the sample runs: a lock names the index that it was made with, and each
machine has its own.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from devstack.errors import DevstackError, ExitStatus
from devstack.images import versions
from devstack.process import Runner
from devstack.samples.catalogue import Sample

LOCK_SECONDS = 120.0
_REQUIRES_PYTHON = f">={versions.TASK_PYTHON}"


@dataclass(frozen=True)
class FlowFile:
    """A sample's file, and how it is started.

    Attributes:
        path: the file.
        arguments: Metaflow's options.
        folder: where it is started; None for the current folder.
    """

    path: Path
    arguments: Sequence[str] = ()
    folder: Path | None = None


def write_project(sample: Sample, folder: Path, python: Path, runner: Runner) -> FlowFile:
    """Write a project of a sample and its packages; return how to start it there.

    Args:
        sample: a sample with packages.
        folder: an empty folder.
        python: a Python with pip, for machines without uv.
        runner: runs uv, or else pip.

    Raises:
        DevstackError: ``PACKAGE_INDEX_UNREACHABLE``.
    """
    path = folder / sample.file.name
    shutil.copy(sample.file, path)
    (folder / "pyproject.toml").write_text(_pyproject(sample))
    try:
        if uv := runner.which("uv"):
            runner.run([uv, "lock"], cwd=folder, timeout=LOCK_SECONDS)
        else:
            report = _resolve(sample.packages, folder, python, runner)
            (folder / "uv.lock").write_text(_lock(sample, report["install"]))
    except DevstackError as error:
        raise DevstackError(
            f"cannot lock the packages of the sample {sample.name!r}",
            cause=str(error),
            remedy="check the index settings of pip and uv, the proxy variables and the "
            "certificates of this machine",
            code="PACKAGE_INDEX_UNREACHABLE",
            exit_status=ExitStatus.ENVIRONMENT,
            output=error.output,
        ) from error
    return FlowFile(path, ("--environment=uv",), folder)


def _pyproject(sample: Sample) -> str:
    return f"""\
[project]
name = "devstack-sample-{sample.name}"
version = "1"
requires-python = "{_REQUIRES_PYTHON}"
dependencies = {json.dumps(sample.packages)}
"""


def _resolve(packages: Sequence[str], folder: Path, python: Path, runner: Runner) -> Any:
    """Return pip's installation report; its format is documented and stable."""
    file, target = folder / "report.json", folder / "unused"
    argv = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    argv += ["--dry-run", "--ignore-installed", "--report", str(file), "--target", str(target)]
    argv += ["--only-binary", ":all:", "--python-version", versions.TASK_PYTHON]
    runner.run([*argv, *packages], timeout=LOCK_SECONDS)
    report = json.loads(file.read_text())
    file.unlink()
    return report


def _lock(sample: Sample, installs: Sequence[Mapping[str, Any]]) -> str:
    """Return a uv.lock, in the first version of its format, which every uv reads."""
    own = f"""\
version = 1
requires-python = "{_REQUIRES_PYTHON}"

[[package]]
name = "devstack-sample-{sample.name}"
version = "1"
source = {{ virtual = "." }}
dependencies = [{", ".join(f'{{ name = "{_name(each)}" }}' for each in installs)}]
"""
    return own + "".join(_locked(each) for each in installs)


def _locked(install: Mapping[str, Any]) -> str:
    download = install["download_info"]
    url = urlsplit(download["url"])
    return f"""
[[package]]
name = "{_name(install)}"
version = "{install["metadata"]["version"]}"
source = {{ registry = "{url.scheme}://{url.netloc}/" }}
wheels = [{{ url = "{download["url"]}", hash = "sha256:{_sha256(download)}" }}]
"""


def _name(install: Mapping[str, Any]) -> str:
    return str(install["metadata"]["name"]).lower().replace("_", "-")


def _sha256(download: Mapping[str, Any]) -> str:
    return str(download["archive_info"]["hashes"]["sha256"])
