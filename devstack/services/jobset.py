"""The JobSet controller, which runs Metaflow's ``@parallel`` steps."""

from __future__ import annotations

from contextlib import suppress

from devstack.kube.api_errors import InvalidError, ServerFaultError
from devstack.kube.client import KubeClient, Object
from devstack.kube.readiness import observe_deployment
from devstack.kube.resources import ADMISSION, JOBSET
from devstack.services.base import Service, ServiceContext
from devstack.waits import Failed, Observation, Ready, Waiting

NAMESPACE = "jobset-system"
_CERTIFICATE = "jobset-webhook-server-cert"
CERTIFICATE_ANNOTATION = "devstack.dev/certificate"
"""On the controller's pod: the version of the Secret that it is to mount."""

_WEBHOOKS = (
    ("MutatingWebhookConfiguration", "jobset-mutating-webhook-configuration"),
    ("ValidatingWebhookConfiguration", "jobset-validating-webhook-configuration"),
)


class JobSetService(Service):
    """The controller, its API and its webhooks."""

    name = "jobset"
    about = "JobSet controller, for `@parallel` steps"
    needs = ("rbac",)
    images = ("jobset",)
    samples = ("parallel", "ring")

    def observe(self, ctx: ServiceContext) -> Observation:
        """Return whether a JobSet would be accepted: controller and webhooks respond."""
        kube = ctx.api
        observation = observe_deployment(kube, NAMESPACE, "jobset-controller")
        if not isinstance(observation, Ready):
            if ctx.needs_probe:
                _mount_certificate(kube)
            return observation
        for kind, name in _WEBHOOKS:
            if not _has_ca_bundle(kube.find(ADMISSION, kind, name)):
                return Waiting(f"{kind} {name} has no CA bundle yet")
        return _probe_webhooks(kube, ctx.state.namespace) if ctx.needs_probe else Ready()


def _mount_certificate(kube: KubeClient) -> None:
    """Have the kubelet mount the certificate that the controller has written into its Secret.

    The controller is ready once it finds the certificate in its volume.  The kubelet
    updates volumes when it syncs a pod, which it does every minute or so, and at once
    when the pod's annotations change.
    """
    secret = kube.find("v1", "Secret", _CERTIFICATE, NAMESPACE)
    if secret is None or not (secret.get("data") or {}).get("tls.crt"):
        return
    annotations = {CERTIFICATE_ANNOTATION: secret["metadata"]["resourceVersion"]}
    for pod in kube.list_objects("v1", "Pod", NAMESPACE, labels="app.kubernetes.io/name=jobset"):
        found = pod["metadata"].get("annotations", {})
        if found.get(CERTIFICATE_ANNOTATION) == annotations[CERTIFICATE_ANNOTATION]:
            continue
        name = pod["metadata"]["name"]
        metadata = {"name": name, "namespace": NAMESPACE, "annotations": annotations}
        # A pod that was deleted since cannot be created from annotations alone.
        with suppress(InvalidError):
            kube.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata})


def _has_ca_bundle(configuration: Object | None) -> bool:
    hooks = configuration["webhooks"] if configuration else []
    return bool(hooks) and all(hook["clientConfig"].get("caBundle") for hook in hooks)


def _probe_webhooks(kube: KubeClient, namespace: str) -> Observation:
    """Create a JobSet in a dry run, which calls both webhooks.

    A ready pod is not enough: kube-proxy may not route to it yet.
    """
    try:
        created = kube.create(_build_probe(namespace), dry_run=True)
    except ServerFaultError as error:
        return Waiting(f"the JobSet webhook does not respond yet: {error.detail}")
    except InvalidError as error:
        return Failed(f"the JobSet webhook rejects a plain JobSet: {error.detail}")
    if created["spec"].get("successPolicy"):
        return Ready()
    return Waiting("the JobSet webhook does not set defaults yet")


def _build_probe(namespace: str) -> Object:
    container = {"name": "probe", "image": "probe"}
    pod = {"restartPolicy": "Never", "containers": [container]}
    job = {"name": "probe", "template": {"spec": {"template": {"spec": pod}}}}
    return {
        "apiVersion": JOBSET,
        "kind": "JobSet",
        "metadata": {"name": "devstack-probe", "namespace": namespace},
        "spec": {"replicatedJobs": [job]},
    }
