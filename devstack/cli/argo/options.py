"""Argo, for the commands of `devstack argo`."""

from __future__ import annotations

from devstack.cli.workflows.engine import WorkflowEngine

ARGO = WorkflowEngine(
    name="argo",
    title="Argo",
    run_name="the workflow's name",
    example_run="argo-myflow-x2k9q",
)
