"""Kubeflow Pipelines, for the commands of `devstack kubeflow`."""

from __future__ import annotations

from devstack.cli.workflows.engine import WorkflowEngine

KUBEFLOW = WorkflowEngine(
    name="kubeflow",
    title="Kubeflow Pipelines",
    run_name="the run's id",
    example_run="kfp-0f8fad5b-d9cb-469f-a165-70867728950e",
)
