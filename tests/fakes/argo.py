"""Objects of Argo Workflows as the Kubernetes API has them, and a stack with Argo."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from devstack.kube.client import Object
from devstack.kube.resources import ARGO
from devstack.stack import Stack
from tests.fakes.airflow import airflow_stack
from tests.fakes.api import FakeApi

TYPES = {"n": {"type": "int"}, "text": {"type": "str"}}


def template(name: str = "myflow", flow: str = "MyFlow") -> Object:
    """Return the template of a flow."""
    annotations = {"metaflow/flow_name": flow, "metaflow/parameters": json.dumps(TYPES)}
    return {
        "apiVersion": ARGO,
        "kind": "WorkflowTemplate",
        "metadata": {"name": name, "namespace": "metaflow", "annotations": annotations},
        "spec": {"entrypoint": flow},
    }


def node(step: str, phase: str, name: str = "", **more: Any) -> Object:
    """Return a node that is a pod."""
    shown = name or step
    return {
        "id": f"myflow-1-{abs(hash(shown))}",
        "name": f"myflow-1.{shown}",
        "displayName": shown.rpartition(".")[2],
        "templateName": step,
        "type": "Pod",
        "phase": phase,
        "startedAt": "2026-11-27T03:00:00Z",
        **more,
    }


def workflow(
    name: str = "myflow-1", phase: str = "Running", nodes: tuple[Object, ...] = (), **status: Any
) -> Object:
    """Return a workflow of the template that its name begins with."""
    return {
        "apiVersion": ARGO,
        "kind": "Workflow",
        "metadata": {
            "name": name,
            "namespace": "metaflow",
            "creationTimestamp": f"2026-11-27T03:00:0{name[-1]}Z",
        },
        "spec": {"workflowTemplateRef": {"name": name.rpartition("-")[0]}},
        "status": {
            "phase": phase,
            "startedAt": "2026-11-27T03:00:00Z",
            "nodes": {each["id"]: each for each in nodes},
            **status,
        },
    }


def argo_stack(folder: Path, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """Return a stack with Argo, whose Kubernetes API is ``api``."""
    found = airflow_stack(1, folder)
    found.state.ports["argo"] = 42746
    monkeypatch.setattr(found, "kube", lambda *_arguments, **_options: api.client())
    return found
