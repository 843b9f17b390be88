"""Gang scheduling: a ``@parallel`` step's pods start all together, or none does."""

from __future__ import annotations

from devstack.kube import manifests
from devstack.kube.client import KubeClient, Object
from devstack.kube.gang_support import GangSupport, find_gang_support
from devstack.kube.gangs import list_gangs
from devstack.kube.readiness import observe_deployment
from devstack.kube.resources import JOBSET
from devstack.services.base import HostPort, Manifest, Outputs, ServiceContext
from devstack.services.gang_coscheduling import with_coscheduling
from devstack.waits import Observation, Ready, Waiting

NAMESPACE = "gang-system"


class GangService:
    """The gang controller, and the policies by which JobSets become gangs."""

    name = "gang"
    needs: tuple[str, ...] = ()
    images: tuple[str, ...] = ("gang",)
    host_ports: tuple[HostPort, ...] = ()

    def capabilities_detected(self, ctx: ServiceContext) -> bool:
        """Return True where it is known what the cluster offers."""
        return bool(ctx.state.gangs)

    def adapt(self, ctx: ServiceContext) -> str:
        """Find out what the cluster offers; warn where that is nothing."""
        support, why = find_gang_support(ctx.api)
        ctx.state.gangs = support.value
        return f"gang: off, the pods of a @parallel step start one by one: {why}" if why else ""

    def manifests(self, ctx: ServiceContext) -> list[Manifest]:
        """Return the objects of k8s/gang; none where the cluster cannot have gangs."""
        if ctx.state.gangs == GangSupport.OFF:
            return []
        objects = manifests.with_images(manifests.load(self.name), ctx.state.images)
        return with_coscheduling(objects) if _uses_plugin(ctx) else objects

    def prepare(self, ctx: ServiceContext) -> None:
        """Nothing is left to do."""

    def observe(self, ctx: ServiceContext) -> Observation:
        """Look whether a JobSet would become a gang: controller and policies are at work."""
        if ctx.state.gangs == GangSupport.OFF:
            return Ready()
        seen = observe_deployment(ctx.api, NAMESPACE, "gang-controller")
        if not isinstance(seen, Ready):
            return seen
        return _prove(ctx.api, ctx.state.namespace) if ctx.needs_proof else Ready()

    def outputs(self, ctx: ServiceContext) -> Outputs:
        """Return nothing: no setting of Metaflow's is involved."""
        return Outputs()

    def describe(self, ctx: ServiceContext) -> str:
        """Return how many gangs run and wait, or why there can be none."""
        if ctx.state.gangs == GangSupport.OFF:
            return f"off: {find_gang_support(ctx.api)[1]}"
        gangs = list_gangs(ctx.api)
        waiting = [gang for gang in gangs if gang.waits]
        text = f"{len(gangs) - len(waiting)} running, {len(waiting)} waiting"
        if waiting:
            text += f"; {waiting[0].jobset} {waiting[0].message or 'waits for its pods'}"
        return text


def _uses_plugin(ctx: ServiceContext) -> bool:
    return ctx.state.gangs == GangSupport.COSCHEDULING


def _prove(kube: KubeClient, namespace: str) -> Observation:
    """Ask for a gang without making it: the API server takes a moment to heed a policy."""
    made = kube.create(_probe(namespace), dry_run=True)
    if made["spec"].get("startupPolicy", {}).get("startupPolicyOrder") == "AnyOrder":
        return Ready()
    return Waiting("the API server does not heed the gang policies yet")


def _probe(namespace: str) -> Object:
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
