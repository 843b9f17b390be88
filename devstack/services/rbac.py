"""The task namespace, the account of task pods, and the account of submitters."""

from __future__ import annotations

import base64

from devstack.kube import kubeconfig, manifests
from devstack.kube.client import Object
from devstack.kube.pull_secrets import NAME as PULL_SECRET
from devstack.services.base import Manifest, Outputs, Service, ServiceContext
from devstack.waits import Observation, Ready, Waiting

TASK_ACCOUNT = "metaflow-task"
"""The service account of task pods, which has no permissions."""

TOKEN_SECRET = "metaflow-submitter-token"  # noqa: S105 - the Secret's name

_NAMESPACE = "metaflow"
"""The task namespace in the files below k8s/."""


class RbacService(Service):
    """The namespace and permissions of flows."""

    name = "rbac"
    about = "the task namespace, and least-privilege accounts of task pods and submitters"

    def manifests(self, ctx: ServiceContext) -> list[Manifest]:
        """Return the objects of k8s/rbac, in the stack's own namespace."""
        found = manifests.with_namespace(manifests.load(self.name), _NAMESPACE, ctx.state.namespace)
        return [_with_logins(each) for each in found] if ctx.state.logins else found

    def observe(self, ctx: ServiceContext) -> Observation:
        """Return Ready once Kubernetes has issued the submitter's token."""
        if _token(ctx):
            return Ready()
        return Waiting(f"Secret {ctx.state.namespace}/{TOKEN_SECRET} has no token yet")

    def outputs(self, ctx: ServiceContext) -> Outputs:
        """Return the namespace, account and image of Metaflow's pods."""
        return Outputs(
            metaflow={
                "METAFLOW_KUBERNETES_NAMESPACE": ctx.state.namespace,
                "METAFLOW_KUBERNETES_SERVICE_ACCOUNT": TASK_ACCOUNT,
                "METAFLOW_KUBERNETES_CONTAINER_IMAGE": ctx.state.images.get("task", ""),
            }
        )


def _with_logins(manifest: Manifest) -> Manifest:
    """Return the account of task pods with the Secret that has logins at registries."""
    if manifest["kind"] != "ServiceAccount" or manifest["metadata"]["name"] != TASK_ACCOUNT:
        return manifest
    return {**manifest, "imagePullSecrets": [{"name": PULL_SECRET}]}


def submitter_kubeconfig(ctx: ServiceContext, admin: str) -> str:
    """Return the kubeconfig for submitters of flows, as YAML.

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
