"""The report of a run that could not install packages."""

from __future__ import annotations

import pytest

from devstack.flows.package_failures import find_package_failure

UV = [
    "Bootstrap failed while executing: set -e;",
    "    uv sync --frozen --no-dev --no-install-package metaflow;",
    "Stdout: ",
]


@pytest.mark.parametrize(
    ("lines", "cause", "remedy"),
    [
        (
            [
                "Micromamba ran into an error while setting up environment:",
                "Micromamba installation 'curl -Ls https://a.example | tar -xvj' failed:",
                "bzip2: Compressed file ends unexpectedly;",
            ],
            "this machine could not download micromamba",
            "METAFLOW_PATH_TO_MICROMAMBA",
        ),
        (
            [
                "Bootstrap failed while executing: set -e;",
                "Stderr: cannot download micromamba, which @conda and @pypi require:",
            ],
            "a pod could not download micromamba",
            "micromamba on PATH",
        ),
        (
            ["Error: Failed to download UV after 3 attempts: <urlopen error>"],
            "image has no uv",
            "pip install uv",
        ),
        (
            [
                "uv error:",
                "Could not find uv.lock in current directory or any parent directory",
            ],
            "uv.lock in the current folder",
            "uv lock",
        ),
        (
            [*UV, "  cause: Failed to download `https://a.example/cpython-3.15.2-x86_64.tar.gz`"],
            "requires a Python",
            "UV_PYTHON_INSTALL_MIRROR",
        ),
        (
            [*UV, "Stderr: error: Request failed", "  Caused by: invalid peer certificate: X"],
            "does not trust",
            "DEVSTACK_CA_BUNDLE",
        ),
        (
            [*UV, "Stderr: error: Failed to fetch: `https://a.example/x.whl`", "dns error"],
            "could not be downloaded",
            "devstack up",
        ),
    ],
)
def test_the_cause_is_what_the_output_says(lines: list[str], cause: str, remedy: str) -> None:
    found = find_package_failure(lines)
    assert found
    assert cause in found.cause
    assert remedy in found.remedy


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["Bootstrapping uv project...", "requests: Failed to fetch the user's own page"],
        [*UV, "Stderr: error: something else"],
    ],
)
def test_other_failures_keep_their_own_report(lines: list[str]) -> None:
    assert find_package_failure(lines) is None
