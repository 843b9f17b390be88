"""The stack with Kubeflow Pipelines, and a Python with metaflow-kubeflow, for these tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kubeflow.flows_on_kubeflow import KubeflowStack
from tests.support.commandline import Devstack
from tests.support.kubeflow_python import create_kubeflow_python


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeflowStack]:
    """A stack with Kubeflow Pipelines that is up; the first one on a machine compiles Argo."""
    devstack = Devstack("kubeflow", tmp_path_factory.mktemp("kubeflow"))
    devstack.leave_out("airflow", "metrics-server")
    python = create_kubeflow_python(tmp_path_factory.mktemp("python") / "environment")
    with devstack.brought_up("--with", "kubeflow"):
        yield KubeflowStack(devstack, python)


@pytest.fixture
def clean(stack: KubeflowStack) -> Iterator[None]:
    """Delete what a test has deployed."""
    yield
    stack.delete_all()
