"""test/ux of Metaflow, for each backend."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import yaml

from scripts.external_suites.programs import METAFLOW, Programs
from scripts.external_suites.pytest_suite import PytestSuite, run_pytest
from scripts.external_suites.results import Result

FOLDER = "test/ux"
CONFIGURATION = "ux_test_config.yaml"
LOCAL = "local"
BACKENDS: Mapping[str, Sequence[str]] = {
    LOCAL: ("--exec-mode", "runner"),
    "argo-kubernetes": (),
    "airflow-kubernetes": (),
}
"""The suite's names of backends, and options. With a scheduler, tests run in both modes: by
``Runner``, and deployed. The backend ``local`` runs each step in a pod."""

SCHEDULERS = {"argo-kubernetes": "argo-workflows", "airflow-kubernetes": "airflow"}

_LEFT_OUT = {
    "needs a conda channel": ("-m", "conda"),
    "needs AWS Step Functions": ("-k", "test_sfn_compilation"),
}


def run_ux(programs: Programs) -> Iterator[Result]:
    """Run the tests of each backend, with the stack's image instead of one of a registry."""
    root = programs.copy(FOLDER)
    expect_no_failures(root / CONFIGURATION)
    for backend in programs.backends:
        options = ("--only-backend", backend, "--decospecs", "kubernetes", *BACKENDS[backend])
        name = "ux" if backend == LOCAL else f"ux {backend}"
        yield from run_pytest(
            programs, PytestSuite(name, root, ("core",), root, options, _LEFT_OUT)
        )


def flows(programs: Programs) -> Path:
    """Return a copy of the folder of the suite's flows."""
    return programs.copy(FOLDER, METAFLOW) / "core" / "flows"


def expect_no_failures(file: Path) -> None:
    """Leave out of the suite's configuration which backends are expected to fail.

    Args:
        file: the configuration in a copy of the suite.
    """
    settings = yaml.safe_load(file.read_text())
    for backend in settings["backends"]:
        backend.pop("xfail_reason", None)
    file.write_text(yaml.safe_dump(settings))
