"""Gang scheduling: the pods of a ``@parallel`` step start together or not at all."""

from __future__ import annotations

from devstack.kube import manifests
from devstack.kube.client import KubeClient, Object
from devstack.kube.gang_support import GangSupport, find_gang_support
from devstack.kube.gangs import list_gangs
from devstack.kube.readiness import observe_deployment
from devstack.kube.resources import JOBSET
from devstack.services.base import Manifest, Service, ServiceContext
from devstack.services.gang_coscheduling import with_coscheduling
from devstack.services.policies import detect_policy_api, in_served_api
from devstack.waits import Observation, Ready, Waiting

NAMESPACE = "gang-system"


class GangService(Service):
    """The gang controller, and the admission policies that turn JobSets into gangs."""

    name = "gang"
    about = "gang scheduling: a `@parallel` step starts whole or not at all"
    needs = ("rbac", "jobset")
    images = ("gang",)
    samples = ("gang",)

    def capabilities_detected(self, ctx: ServiceContext) -> bool:
        """Return True if the state records already what the cluster supports."""
        return bool(ctx.state.gangs)

    def adapt(self, ctx: ServiceContext) -> str:
        """Detect what the cluster supports; return a warning if gangs are impossible."""
        detect_policy_api(ctx)
        support, why = find_gang_support(ctx.api)
        ctx.state.gangs = support.value
        return f"gang: off, the pods of a @parallel step start one by one: {why}" if why else ""

    def manifests(self, ctx: ServiceContext) -> list[Manifest]:
        """Return the objects of k8s/gang; none if the cluster does not support gangs."""
        if ctx.state.gangs == GangSupport.OFF:
            return []
        objects = in_served_api(manifests.load(self.name), ctx)
        objects = manifests.with_images(objects, ctx.state.images)
        coscheduling = ctx.state.gangs == GangSupport.COSCHEDULING
        return with_coscheduling(objects) if coscheduling else objects

    def observe(self, ctx: ServiceContext) -> Observation:
        """Return whether a JobSet would become a gang: controller and policies are active."""
        if ctx.state.gangs == GangSupport.OFF:
            return Ready()
        observation = observe_deployment(ctx.api, NAMESPACE, "gang-controller")
        if not isinstance(observation, Ready):
            return observation
        return _probe_policies(ctx.api, ctx.state.namespace) if ctx.needs_probe else Ready()

    def describe(self, ctx: ServiceContext) -> str:
        """Return the number of running and waiting gangs, or why there are none."""
        if ctx.state.gangs == GangSupport.OFF:
            return f"off: {find_gang_support(ctx.api)[1]}"
        gangs = list_gangs(ctx.api)
        waiting = [gang for gang in gangs if gang.waits]
        text = f"{len(gangs) - len(waiting)} running, {len(waiting)} waiting"
        if waiting:
            text += f"; {waiting[0].jobset} {waiting[0].message or 'waits for its pods'}"
        return text


def _probe_policies(kube: KubeClient, namespace: str) -> Observation:
    """Create a gang in a dry run: the API server applies a new policy after a moment."""
    created = kube.create(_build_probe(namespace), dry_run=True)
    if created["spec"].get("startupPolicy", {}).get("startupPolicyOrder") == "AnyOrder":
        return Ready()
    return Waiting("the API server does not apply the gang policies yet")


def _build_probe(namespace: str) -> Object:
    container = {"name": "probe", "image": "probe"}
    pod = {"restartPolicy": "Never", "containers": [container]}
    job = {"backoffLimit": 0, "template": {"spec": pod}}
    return {
        "apiVersion": JOBSET,
        "kind": "JobSet",
        "metadata": {
            "name": "devstack-gang-probe",
            "namespace": namespace,
            "labels": {"devstack.dev/gang": "true"},
        },
        "spec": {
            "startupPolicy": {"startupPolicyOrder": "InOrder"},
            "replicatedJobs": [{"name": "probe", "template": {"spec": job}}],
        },
    }
