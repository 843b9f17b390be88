"""The metadata service: records every run, local, on Kubernetes or on Airflow."""

from __future__ import annotations

from devstack.kube import manifests
from devstack.kube.readiness import observe_deployment
from devstack.ports import LOOPBACK
from devstack.services import postgres
from devstack.services.base import HostPort, Manifest, Outputs, Service, ServiceContext
from devstack.services.http_probe import answers
from devstack.services.minio import METADATA_ATTEMPTS
from devstack.waits import Observation, Ready, Waiting

NAMESPACE = "metadata"
ADDRESS = f"http://metadata.{NAMESPACE}.svc.cluster.local:8080"
"""Its address in the cluster."""

SECRET = "metadata"  # noqa: S105 - the Secret's name
KEY = "metadata_key"
"""The credential that Metaflow sends: any process of this machine can reach the port."""


class MetadataService(Service):
    """devstack's implementation of Metaflow's metadata service, on the stack's Postgres."""

    name = "metadata"
    about = "Metaflow's metadata service; local, Kubernetes and Airflow runs in one place"
    needs = ("postgres",)
    optional = True
    images = ("metadata",)
    host_ports = (
        HostPort("metadata", 8081, 30881, f"{NAMESPACE}/metadata:8080", "Metaflow metadata"),
    )
    database = "metadata"
    samples = ("report",)

    def manifests(self, ctx: ServiceContext) -> list[Manifest]:
        """Return the objects of k8s/metadata and the Secret with the database's URL."""
        namespace, *objects = manifests.load(self.name)
        settings = {
            "METADATA_DATABASE": postgres.url(ctx.state, self.database),
            "METADATA_KEY": ctx.state.credential(KEY),
        }
        secret = manifests.secret(SECRET, NAMESPACE, settings)
        objects = manifests.with_images(objects, ctx.state.images)
        return [namespace, secret, *manifests.with_restarts(objects, settings)]

    def observe(self, ctx: ServiceContext) -> Observation:
        """Return whether service and database respond, from the host if the port is mapped."""
        observation = observe_deployment(ctx.api, NAMESPACE, "metadata")
        if (
            not isinstance(observation, Ready)
            or not ctx.is_mapped("metadata")
            or answers(ctx.state.ports.get("metadata", 0), "/ready")
        ):
            return observation
        return Waiting(f"the metadata service does not respond on {url(ctx)} yet")

    def outputs(self, ctx: ServiceContext) -> Outputs:
        """Return Metaflow's metadata settings: one address for the host, another for pods."""
        return Outputs(
            metaflow={
                "METAFLOW_DEFAULT_METADATA": "service",
                "METAFLOW_SERVICE_URL": url(ctx),
                "METAFLOW_SERVICE_INTERNAL_URL": ADDRESS,
                "METAFLOW_SERVICE_AUTH_KEY": ctx.state.credential(KEY),
                "METAFLOW_SERVICE_RETRY_COUNT": METADATA_ATTEMPTS,
            },
            urls={"metadata": url(ctx)},
        )


def url(ctx: ServiceContext) -> str:
    """Return the service's address on the host."""
    return f"http://{LOOPBACK}:{ctx.state.ports.get('metadata', 0)}"
