"""What the flows of these tests name: pools, claims, Secrets, an account and a namespace."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from devstack.images.catalogue import IMAGES
from devstack.paths import project_file
from tests.e2e.reference import password_registry
from tests.e2e.reference.task_pods import read
from tests.support.commandline import Devstack

NAME = "devstack-reference"
"""The claim, Secret, service account and compute pool of these tests."""

LOGIN = f"{NAME}-login"
NAMESPACE = "metaflow"
OTHER_NAMESPACE = "reference"
KEY = "example.com/reference"
IMAGE = "devstack/reference:1"
VARIABLE_IMAGE = f"registry.example/{IMAGE}"
TASK_IMAGE = IMAGES["task"].reference

DOCS = project_file("docs", "kubernetes")
POOL = f"""
[[pool]]
name = "reference"
instance_type = "m5.4xlarge"
zones = ["eu-west-1b"]
gpu = {{ vendor = "nvidia", count = 2 }}
extended = {{ "amd.com/gpu" = 1, "example.com/fpga" = 1 }}
labels = {{ "outerbounds.co/compute-pool" = "{NAME}" }}
taints = ["{KEY}=yes:NoSchedule"]
"""


def reference_node(stack: Devstack) -> str:
    return f"devstack-{stack.name}-reference-0"


@contextmanager
def prepared(stack: Devstack, folder: Path) -> Iterator[None]:
    """Create everything on the running stack; remove it at the end, or if that fails."""
    with ExitStack() as undo:
        undo.enter_context(_pools(stack, folder))
        for namespace in (NAMESPACE, OTHER_NAMESPACE):
            undo.callback(stack.run, "pvc", "delete", NAME, "--namespace", namespace)
        names = f"{NAME},{LOGIN}"
        kubectl = stack.admin_kubectl
        undo.callback(
            kubectl, "delete", "secret,sa", *names.split(","), "-n", NAMESPACE, "--ignore-not-found"
        )
        undo.callback(kubectl, "delete", "namespace", OTHER_NAMESPACE, "--ignore-not-found")
        file = folder / "objects.json"
        file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": _objects(stack)}))
        kubectl("apply", "-f", str(file))
        for namespace in (NAMESPACE, OTHER_NAMESPACE):
            stack.run("pvc", "create", NAME, "64Mi", "--namespace", namespace)
        password_registry.tag(reference_node(stack), TASK_IMAGE, VARIABLE_IMAGE)
        password_registry.trust(reference_node(stack))
        pod = f"pod/{password_registry.NAME}"
        kubectl("wait", "--for=condition=Ready", pod, "-n", OTHER_NAMESPACE, "--timeout=60s")
        yield


@contextmanager
def _pools(stack: Devstack, folder: Path) -> Iterator[None]:
    """Add the pool of the docs, unmodified, and one with what the attributes select."""
    file = folder / "pools.toml"
    file.write_text((DOCS / "devstack.toml").read_text() + POOL)
    try:
        stack.run("up", "--config", str(file))
        yield
    finally:
        file.write_text("pool = []\n")
        stack.run("up", "--config", str(file))


def own_secrets(stack: Devstack) -> list[str]:
    """Return the names of the Secrets that the stack itself gives to each task."""
    program = "from metaflow.metaflow_config import KUBERNETES_SECRETS as own; print(own)"
    return stack.run("shell", "--", sys.executable, "-c", program).stdout.strip().split(",")


def _objects(stack: Devstack) -> list[dict[str, Any]]:
    """Return what both namespaces need; the second one what a stack's own has, too."""
    found: list[dict[str, Any]] = [_object("v1", "Namespace", OTHER_NAMESPACE)]
    for namespace in (NAMESPACE, OTHER_NAMESPACE):
        token = {"stringData": {"TOKEN": f"a b$c of {namespace}"}}
        found.append(_object("v1", "ServiceAccount", NAME, namespace))
        found.append(_object("v1", "Secret", NAME, namespace) | token)
    found.append(password_registry.login_secret(LOGIN, NAMESPACE))
    copied = [f"secret/{name}" for name in own_secrets(stack)]
    copied += ["role/metaflow-submitter", "rolebinding/metaflow-submitter"]
    for item in read(stack, *copied, "-n", NAMESPACE)["items"]:
        name = item["metadata"]["name"]
        found.append(item | _object(item["apiVersion"], item["kind"], name, OTHER_NAMESPACE))
    node = reference_node(stack)
    found.append(password_registry.registry_pod(node, OTHER_NAMESPACE, TASK_IMAGE))
    return found


def _object(version: str, kind: str, name: str, namespace: str = "") -> dict[str, Any]:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": version, "kind": kind, "metadata": metadata}
