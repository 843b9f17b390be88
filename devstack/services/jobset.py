"""The JobSet controller, which runs Metaflow's ``@parallel`` steps."""

from __future__ import annotations

from devstack.kube import manifests
from devstack.kube.api_errors import InvalidError, ServerFaultError
from devstack.kube.client import KubeClient, Object
from devstack.kube.readiness import observe_deployment
from devstack.kube.resources import ADMISSION, JOBSET
from devstack.services.base import HostPort, Manifest, Outputs, ServiceContext
from devstack.waits import Failed, Observation, Ready, Waiting

NAMESPACE = "jobset-system"

_WEBHOOKS = (
    ("MutatingWebhookConfiguration", "jobset-mutating-webhook-configuration"),
    ("ValidatingWebhookConfiguration", "jobset-validating-webhook-configuration"),
)


class JobSetService:
    """The controller, its API and its webhooks."""

    name = "jobset"
    needs: tuple[str, ...] = ()
    images: tuple[str, ...] = ("jobset",)
    host_ports: tuple[HostPort, ...] = ()

    def manifests(self, ctx: ServiceContext) -> list[Manifest]:
        """Return the objects of k8s/jobset."""
        return manifests.with_images(manifests.load(self.name), ctx.state.images)

    def prepare(self, ctx: ServiceContext) -> None:
        """Nothing is left to do."""

    def observe(self, ctx: ServiceContext) -> Observation:
        """Look whether a JobSet would be taken: the controller runs, its webhooks answer."""
        kube = ctx.api
        seen = observe_deployment(kube, NAMESPACE, "jobset-controller")
        if not isinstance(seen, Ready):
            return seen
        for kind, name in _WEBHOOKS:
            if not _trusted(kube.find(ADMISSION, kind, name)):
                return Waiting(f"{kind} {name} has no certificate authority yet")
        return _prove(kube, ctx.state.namespace) if ctx.needs_proof else Ready()

    def outputs(self, ctx: ServiceContext) -> Outputs:
        """Return nothing: Metaflow's own defaults name the API group and version."""
        return Outputs()


def _trusted(configuration: Object | None) -> bool:
    hooks = configuration["webhooks"] if configuration else []
    return bool(hooks) and all(hook["clientConfig"].get("caBundle") for hook in hooks)


def _prove(kube: KubeClient, namespace: str) -> Observation:
    """Ask for a JobSet without making it, which goes through both webhooks.

    A ready pod is not enough: the node's proxy may not lead to it yet.
    """
    try:
        made = kube.create(_probe(namespace), dry_run=True)
    except ServerFaultError as error:
        return Waiting(f"the JobSet webhook does not answer yet: {error.detail}")
    except InvalidError as error:
        return Failed(f"the JobSet webhook refuses a plain JobSet: {error.detail}")
    if made["spec"].get("successPolicy"):
        return Ready()
    return Waiting("the JobSet webhook fills in no defaults yet")


def _probe(namespace: str) -> Object:
    container = {"name": "probe", "image": "probe"}
    pod = {"restartPolicy": "Never", "containers": [container]}
    job = {"name": "probe", "template": {"spec": {"template": {"spec": pod}}}}
    return {
        "apiVersion": JOBSET,
        "kind": "JobSet",
        "metadata": {"name": "devstack-probe", "namespace": namespace},
        "spec": {"replicatedJobs": [job]},
    }
