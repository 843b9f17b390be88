"""Metaflow's metadata service: what runs there were, wherever they ran."""

from __future__ import annotations

from devstack.kube import manifests
from devstack.kube.readiness import observe_deployment
from devstack.ports import LOOPBACK
from devstack.services import postgres
from devstack.services.base import HostPort, Manifest, Outputs, ServiceContext
from devstack.services.http_probe import answers
from devstack.services.minio import METADATA_TRIES
from devstack.waits import Observation, Ready, Waiting

NAMESPACE = "metadata"
ADDRESS = f"http://metadata.{NAMESPACE}.svc.cluster.local:8080"
"""Where pods find it."""

SECRET = "metadata"  # noqa: S105 - the Secret's name
KEY = "metadata_key"
"""The credential that Metaflow shows the service; the port is open to this whole machine."""


class MetadataService:
    """devstack's own service of Metaflow's metadata, on the stack's Postgres."""

    name = "metadata"
    needs: tuple[str, ...] = ()
    images: tuple[str, ...] = ("metadata",)
    host_ports: tuple[HostPort, ...] = (
        HostPort("metadata", 8081, 30881, f"{NAMESPACE}/metadata:8080", "Metaflow's metadata"),
    )

    def manifests(self, ctx: ServiceContext) -> list[Manifest]:
        """Return the objects of k8s/metadata and the Secret with the database's address."""
        namespace, *objects = manifests.load(self.name)
        settings = {
            "METADATA_DATABASE": postgres.url(ctx.state, "metadata"),
            "METADATA_KEY": ctx.state.credential(KEY),
        }
        secret = manifests.secret(SECRET, NAMESPACE, settings)
        objects = manifests.with_images(objects, ctx.state.images)
        return [namespace, secret, *manifests.with_restarts(objects, settings)]

    def prepare(self, ctx: ServiceContext) -> None:
        """Nothing is left to do: the service makes its tables itself."""

    def observe(self, ctx: ServiceContext) -> Observation:
        """Look whether the service and its database answer, from the host where mapped."""
        seen = observe_deployment(ctx.api, NAMESPACE, "metadata")
        if (
            not isinstance(seen, Ready)
            or not ctx.host_mapped
            or answers(ctx.state.ports.get("metadata", 0), "/ready")
        ):
            return seen
        return Waiting(f"the metadata service does not answer on {url(ctx)} yet")

    def outputs(self, ctx: ServiceContext) -> Outputs:
        """Return Metaflow's metadata settings: one address for the host, another for pods."""
        return Outputs(
            metaflow={
                "METAFLOW_DEFAULT_METADATA": "service",
                "METAFLOW_SERVICE_URL": url(ctx),
                "METAFLOW_SERVICE_INTERNAL_URL": ADDRESS,
                "METAFLOW_SERVICE_AUTH_KEY": ctx.state.credential(KEY),
                "METAFLOW_SERVICE_RETRY_COUNT": METADATA_TRIES,
            },
            urls={"metadata": url(ctx)},
        )


def url(ctx: ServiceContext) -> str:
    """Return the service's address on the host."""
    return f"http://{LOOPBACK}:{ctx.state.ports.get('metadata', 0)}"
