"""The tests of Kubeflow Pipelines' Python client against a server."""

from __future__ import annotations

from collections.abc import Iterator

from scripts.external_suites.programs import KFP, Programs
from scripts.external_suites.pytest_suite import PytestSuite, run_pytest
from scripts.external_suites.results import Result

TESTS = "sdk/python/test"
_IMPORTED = ("test_data", "backend/api/v2beta1/python_http_client")
"""What else the tests import, from the root of the checkout."""

_WITH_SERVER = (
    "sh",
    "-c",
    'apiUrl=$METAFLOW_KUBEFLOW_PIPELINES_URL authToken=$DEVSTACK_KUBEFLOW_TOKEN exec "$@"',
    "sh",
)
"""Runs its arguments with the variables in which the tests look for the server and its token."""


def run_kfp(programs: Programs) -> Iterator[Result]:
    """Run them against the stack's service ``kubeflow``."""
    tests = programs.copy(TESTS, KFP)
    for folder in _IMPORTED:
        programs.copy(folder, KFP)
    root = tests.parents[TESTS.count("/")]
    paths = (f"{TESTS}/client/client_test.py",)
    options = ("-o", f"pythonpath={root}")
    suite = PytestSuite("kfp", root, paths, root, options, left_out={}, prefix=_WITH_SERVER)
    yield from run_pytest(programs, suite)
