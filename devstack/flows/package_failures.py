"""What a run that could not install packages lacked, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

DOCUMENT = "packages.md"


@dataclass(frozen=True)
class PackageFailure:
    """Why packages could not be installed.

    Attributes:
        cause: what is missing, in one sentence.
        remedy: the next step.
    """

    cause: str
    remedy: str


_FAILURES = (
    (
        r"Micromamba installation 'curl",
        PackageFailure(
            "this machine could not download micromamba, with which Metaflow resolves @conda and "
            "@pypi before a run",
            "install micromamba so that it is on PATH, or set METAFLOW_PATH_TO_MICROMAMBA, or let "
            "this machine reach the address above; flows with --environment=uv need none",
        ),
    ),
    (
        r"cannot download micromamba|Failed to download micromamba after",
        PackageFailure(
            "a pod could not download micromamba, with which it unpacks @conda and @pypi",
            "let pods reach one of its addresses, by the proxy settings of `devstack up`, or name "
            "an image that has micromamba on PATH",
        ),
    ),
    (
        r"Failed to download UV after",
        PackageFailure(
            "the step's image has no uv, and its pod could not download it",
            "use the stack's task image, or install uv in yours: pip install uv",
        ),
    ),
    (
        r"Could not find (pyproject\.toml|uv\.lock) in current directory",
        PackageFailure(
            "--environment=uv needs pyproject.toml and uv.lock in the current folder or above it",
            "run `uv lock` in the project, and devstack from there",
        ),
    ),
    (
        r"No interpreter found for Python|Failed to download `\S*(cpython|pypy)-\d",
        PackageFailure(
            "the project requires a Python that the step's image does not have, and its pod could "
            "not download it",
            "name an image with that Python by @kubernetes(image=...), set "
            "UV_PYTHON_INSTALL_MIRROR and run `devstack up`, or lower requires-python",
        ),
    ),
    (
        r"invalid peer certificate|CERTIFICATE_VERIFY_FAILED|self-signed certificate",
        PackageFailure(
            "the package index has a certificate that the pod does not trust",
            "name the bundle of your authority by DEVSTACK_CA_BUNDLE (or SSL_CERT_FILE), then "
            "run `devstack up`, which passes it to pods",
        ),
    ),
    (
        r"Failed to (fetch|download)|dns error|Could not connect|No matching distribution found",
        PackageFailure(
            "a package could not be downloaded",
            "compare the address above with the index and proxy settings of this machine, and run "
            "`devstack up`, which passes them to pods",
        ),
    ),
)
_BOOTSTRAP = re.compile(
    r"Bootstrap failed while executing|ran into an error while setting up environment"
    r"|Error: Failed to download (UV|micromamba)|uv error"
)
"""What a run prints whose environment could not be set up, and no run after that."""


def find_package_failure(lines: Iterable[str]) -> PackageFailure | None:
    """Return why packages could not be installed, if that is why a run failed; else None."""
    text = "\n".join(lines)
    if not _BOOTSTRAP.search(text):
        return None
    return next((failure for pattern, failure in _FAILURES if re.search(pattern, text)), None)
