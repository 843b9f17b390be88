"""Compile flows to DAG files, with an S3 of the test."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Any

from devstack.deployers.airflow.compile import CompiledDag, compile_flow
from devstack.deployers.base import DeployOptions
from devstack.flows.environment import FlowEnvironment
from devstack.flows.source import FlowSource
from devstack.process import SubprocessRunner
from tests.fakes.api import FakeApi


def compile_environment(folder: Path, s3: str, **variables: str) -> FlowEnvironment:
    """Return the environment of a flow's process.

    Args:
        folder: a folder of the test.
        s3: address of the S3 server.
        variables: further variables.
    """
    settings = {
        "METAFLOW_HOME": str(folder / "home"),
        "METAFLOW_DEFAULT_DATASTORE": "s3",
        "METAFLOW_DEFAULT_METADATA": "local",
        "METAFLOW_DATASTORE_SYSROOT_S3": "s3://bucket/metaflow",
        "METAFLOW_DATASTORE_SYSROOT_LOCAL": str(folder / "home"),
        "METAFLOW_KUBERNETES_NAMESPACE": "metaflow",
        "METAFLOW_USER": "tester",
        "AWS_ENDPOINT_URL_S3": s3,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "word",
        "AWS_DEFAULT_REGION": "us-east-1",
        **variables,
    }
    kube = FakeApi().client()
    return FlowEnvironment(settings, Path(sys.executable), "metaflow", kube, folder / "logs")


def compile_source(source: FlowSource, env: FlowEnvironment, **options: Any) -> CompiledDag:
    """Compile a flow; ``options`` are those of :class:`DeployOptions`."""
    return compile_flow(DeployOptions(source, **options), env, SubprocessRunner())


def dag_config(dag: CompiledDag) -> dict[str, Any]:
    """Return the dictionary ``CONFIG`` of the DAG file."""
    for node in ast.parse(dag.text).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "CONFIG":
            found: dict[str, Any] = ast.literal_eval(node.value)
            return found
    raise AssertionError("the file has no CONFIG")
