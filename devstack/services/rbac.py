"""The namespace of flows, the account of task pods, and the identity of submitters."""

from __future__ import annotations

import base64

from devstack.kube import kubeconfig, manifests
from devstack.kube.client import Object
from devstack.services.base import HostPort, Manifest, Outputs, ServiceContext
from devstack.waits import Observation, Ready, Waiting

TASK_ACCOUNT = "metaflow-task"
"""Task pods run as this service account, which has no rights."""

TOKEN_SECRET = "metaflow-submitter-token"  # noqa: S105 - its name, not its content

_NAMESPACE_IN_FILES = "metaflow"

# Metaflow's own defaults, one core and 4 GB a task, would not let three tasks
# run side by side on a laptop. A step that needs more says so by @kubernetes.
_TASK_SIZE = {
    "METAFLOW_KUBERNETES_CPU": "0.2",
    "METAFLOW_KUBERNETES_MEMORY": "256",
    "METAFLOW_KUBERNETES_DISK": "1024",
}


class RbacService:
    """Who may do what; everything else needs its namespace."""

    name = "rbac"
    needs: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    host_ports: tuple[HostPort, ...] = ()

    def manifests(self, ctx: ServiceContext) -> list[Manifest]:
        """Return the objects of k8s/rbac, in the stack's own namespace."""
        return manifests.with_namespace(
            manifests.load(self.name), _NAMESPACE_IN_FILES, ctx.state.namespace
        )

    def prepare(self, ctx: ServiceContext) -> None:
        """Nothing is left to do."""

    def observe(self, ctx: ServiceContext) -> Observation:
        """Look whether Kubernetes has filled in the submitter's token."""
        if _token(ctx):
            return Ready()
        return Waiting(f"Secret {ctx.state.namespace}/{TOKEN_SECRET} has no token yet")

    def outputs(self, ctx: ServiceContext) -> Outputs:
        """Return where Metaflow's pods run, as whom, from which image and how large."""
        return Outputs(
            metaflow={
                "METAFLOW_KUBERNETES_NAMESPACE": ctx.state.namespace,
                "METAFLOW_KUBERNETES_SERVICE_ACCOUNT": TASK_ACCOUNT,
                "METAFLOW_KUBERNETES_CONTAINER_IMAGE": ctx.state.images.get("task", ""),
                **_TASK_SIZE,
            }
        )


def submitter_kubeconfig(ctx: ServiceContext, admin: str) -> str:
    """Return the kubeconfig that is handed out to those who run flows, as YAML.

    Args:
        ctx: the stack; `RbacService` must be ready.
        admin: the administrator's kubeconfig, which names the API server.
    """
    return kubeconfig.with_token(
        kubeconfig.parse(admin),
        name=f"devstack-{ctx.state.name}",
        namespace=ctx.state.namespace,
        token=_token(ctx),
    )


def _token(ctx: ServiceContext) -> str:
    secret: Object | None = ctx.api.find("v1", "Secret", TOKEN_SECRET, ctx.state.namespace)
    encoded = (secret or {}).get("data", {}).get("token", "")
    return base64.b64decode(encoded).decode()
