"""Kubeflow Pipelines: devstack's own pipelines API, which runs pipelines on the stack's Argo."""

from __future__ import annotations

import copy

from devstack.kube import manifests
from devstack.kube.readiness import observe_deployment
from devstack.ports import LOOPBACK
from devstack.services import postgres
from devstack.services.base import HostPort, Manifest, Outputs, Service, ServiceContext
from devstack.services.http_probe import answers
from devstack.waits import Observation, Ready, Waiting

NAMESPACE = "kubeflow"
NAME = "ml-pipeline"
"""Deployment, Service and account have the name of upstream's API server."""

LABEL = "kubeflow"
"""The pods' label ``app.kubernetes.io/name``."""

TOKEN = "kubeflow_token"  # noqa: S105 - the credential's name
TOKEN_VARIABLE = "DEVSTACK_KUBEFLOW_TOKEN"  # noqa: S105 - the variable's name
BACKEND = "devstack's pipelines API on Argo"

_NAMESPACE = "metaflow"
"""The task namespace in the files below k8s/."""


class KubeflowService(Service):
    """The v2beta1 API; see docs/kubeflow.md for what it has of upstream's."""

    name = "kubeflow"
    about = "Kubeflow Pipelines: devstack's own pipelines API, on Argo Workflows"
    needs = ("argo", "postgres")
    optional = True
    enabled_by_default = False
    images = ("kubeflow",)
    host_ports = (
        HostPort("kubeflow", 8888, 30888, f"{NAMESPACE}/{NAME}:8888", "Kubeflow Pipelines API"),
    )
    database = "kubeflow"

    def manifests(self, ctx: ServiceContext) -> list[Manifest]:
        """Return the objects of k8s/kubeflow and the Secret with token and database."""
        found = manifests.with_namespace(manifests.load(self.name), _NAMESPACE, ctx.state.namespace)
        namespace, *objects = manifests.with_images(found, ctx.state.images)
        settings = {
            "PIPELINES_DATABASE": postgres.url(ctx.state, self.database),
            "PIPELINES_TOKEN": ctx.state.credential(TOKEN),
        }
        secret = manifests.secret(NAME, NAMESPACE, settings)
        objects = [_with_target(item, ctx.state.namespace) for item in objects]
        return [namespace, secret, *manifests.with_restarts(objects, settings)]

    def observe(self, ctx: ServiceContext) -> Observation:
        """Return whether service and database respond, from the host if the port is mapped."""
        observation = observe_deployment(ctx.api, NAMESPACE, NAME)
        if (
            not isinstance(observation, Ready)
            or not ctx.is_mapped("kubeflow")
            or answers(ctx.state.ports.get("kubeflow", 0), "/ready")
        ):
            return observation
        return Waiting(f"the pipelines API does not respond on {url(ctx)} yet")

    def describe(self, ctx: ServiceContext) -> str:
        """Return which backend runs; upstream's is another one."""
        return BACKEND

    def outputs(self, ctx: ServiceContext) -> Outputs:
        """Return the address and the token, for metaflow-kubeflow and for kfp's client."""
        token = ctx.state.credential(TOKEN)
        return Outputs(
            metaflow={"METAFLOW_KUBEFLOW_PIPELINES_URL": url(ctx)},
            environment={
                "METAFLOW_KUBEFLOW_PIPELINES_URL": url(ctx),
                # Where kfp's client looks for the address; it has no variable for a token.
                "KF_PIPELINES_ENDPOINT": url(ctx),
                TOKEN_VARIABLE: token,
            },
            urls={"kubeflow": url(ctx)},
            secrets={"kubeflow-token": token},
        )


def url(ctx: ServiceContext) -> str:
    """Return the API's address on the host."""
    return f"http://{LOOPBACK}:{ctx.state.ports.get('kubeflow', 0)}"


def _with_target(item: Manifest, namespace: str) -> Manifest:
    """Return the workload with the namespace of tasks in its variables; others unchanged."""
    if item["kind"] != "Deployment":
        return item
    changed = copy.deepcopy(item)
    (container,) = changed["spec"]["template"]["spec"]["containers"]
    for variable in container["env"]:
        if variable["name"] == "PIPELINES_NAMESPACE":
            variable["value"] = namespace
    return changed
