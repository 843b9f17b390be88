"""Argo Workflows: runs flows that ``argo-workflows create`` compiles."""

from __future__ import annotations

import base64
import copy
from functools import partial

from devstack.kube import manifests
from devstack.kube.client import KubeClient
from devstack.kube.readiness import observe_deployment
from devstack.ports import LOOPBACK
from devstack.services import minio
from devstack.services.base import HostPort, Manifest, Outputs, Service, ServiceContext
from devstack.services.http_probe import answers
from devstack.waits import Observation, Ready, Waiting

NAMESPACE = "argo"
DEPLOYMENTS = ("argo-controller", "argo-server")
BUCKET = "argo-workflows"
"""The bucket of artifacts, and the user of MinIO that may use it and no other."""

ARTIFACTS_SECRET = "argo-artifacts"  # noqa: S105 - the Secret's name
EXECUTOR_TOKEN = "argo-executor.service-account-token"  # noqa: S105 - the Secret's name
USER_TOKEN = "argo-user-token"  # noqa: S105 - the Secret's name
CREDENTIAL = "argo-token"
"""The name under which the state keeps the token of the server's users."""

_NAMESPACE = "metaflow"
"""The task namespace in the files below k8s/."""
ARTIFACT_KEYS = ("accesskey", "secretkey")
"""The names of the keys in the Secret."""


class ArgoService(Service):
    """The controller, for the task namespace only, and the server with a status page."""

    name = "argo"
    about = "Argo Workflows: runs flows as workflows; built when first included"
    needs = ("rbac", "minio", "metadata", "jobset")
    optional = True
    enabled_by_default = False
    images = ("argo", "argoexec")
    host_ports = (HostPort("argo", 2746, 30746, f"{NAMESPACE}/argo-server:2746", "Argo Workflows"),)

    def manifests(self, ctx: ServiceContext) -> list[Manifest]:
        """Return the objects of k8s/argo, and the Secret with keys for artifacts."""
        objects = manifests.with_namespace(
            manifests.load(self.name), _NAMESPACE, ctx.state.namespace
        )
        objects = manifests.with_images(objects, ctx.state.images)
        namespace, *objects = [_with_arguments(item, ctx) for item in objects]
        values = (BUCKET, ctx.state.credential("minio-argo"))
        keys = dict(zip(ARTIFACT_KEYS, values, strict=True))
        secret = manifests.secret(ARTIFACTS_SECRET, ctx.state.namespace, keys)
        config = next(item for item in objects if item["kind"] == "ConfigMap")
        return [namespace, secret, *manifests.with_restarts(objects, config["data"])]

    def observe(self, ctx: ServiceContext) -> Observation:
        """Return whether controller and server run, and executors have a token."""
        for name in DEPLOYMENTS:
            observation = observe_deployment(ctx.api, NAMESPACE, name)
            if not isinstance(observation, Ready):
                return observation
        for secret in (EXECUTOR_TOKEN, USER_TOKEN):
            if not _token(ctx.api, ctx.state.namespace, secret):
                return Waiting(f"Secret {ctx.state.namespace}/{secret} has no token yet")
        if not ctx.is_mapped("argo") or answers(ctx.state.ports.get("argo", 0), "/"):
            return Ready()
        return Waiting(f"the Argo server does not respond on {url(ctx)} yet")

    def is_prepared(self, ctx: ServiceContext) -> bool:
        """Return True if the state has the token of the server's users."""
        return bool(ctx.state.credentials.get(CREDENTIAL))

    def prepare(self, ctx: ServiceContext) -> None:
        """Create the bucket of artifacts and its user, and note the token of the server's users.

        Raises:
            ServiceUnreachableError: ``MINIO_UNREACHABLE``.
            DevstackError: ``MINIO_REFUSED``.
        """
        minio.ensure_bucket(ctx, BUCKET, ctx.state.credential("minio-argo"))
        ctx.state.credentials[CREDENTIAL] = _token(ctx.api, ctx.state.namespace, USER_TOKEN)

    def outputs(self, ctx: ServiceContext) -> Outputs:
        """Return the server's address, also for the links that Metaflow prints, and its token."""
        token = ctx.state.credentials.get(CREDENTIAL, "")
        return Outputs(
            metaflow={"METAFLOW_ARGO_WORKFLOWS_UI_URL": url(ctx)},
            urls={"argo": url(ctx)},
            secrets={"argo-token": token} if token else {},
        )


def url(ctx: ServiceContext) -> str:
    """Return the server's address on the host."""
    return f"http://{LOOPBACK}:{ctx.state.ports.get('argo', 0)}"


def _with_arguments(item: Manifest, ctx: ServiceContext) -> Manifest:
    """Return a workload with the stack's namespace and executor; others unchanged."""
    if item["kind"] != "Deployment":
        return item
    changed = copy.deepcopy(item)
    (container,) = changed["spec"]["template"]["spec"]["containers"]
    container["args"] = [*map(partial(_replaced, ctx), container["args"])]
    return changed


def _replaced(ctx: ServiceContext, argument: str) -> str:
    values = {
        "--managed-namespace": ctx.state.namespace,
        "--executor-image": ctx.state.images.get("argoexec", ""),
    }
    name, _, value = argument.partition("=")
    return f"{name}={values.get(name) or value}" if value else argument


def _token(kube: KubeClient, namespace: str, name: str) -> str:
    """Return the token in a Secret; empty if Kubernetes has not added it yet."""
    secret = kube.find("v1", "Secret", name, namespace) or {}
    encoded: str = (secret.get("data") or {}).get("token", "")
    return base64.b64decode(encoded).decode()
