"""What the sample flows find in the task namespace: a Secret and a volume claim."""

from __future__ import annotations

import hashlib

from devstack.kube import manifests
from devstack.services.base import HostPort, Manifest, Outputs, ServiceContext
from devstack.waits import Observation, Ready

SECRET = "devstack-sample"  # noqa: S105  the Secret's name, not its content
CREDENTIAL = "sample-token"

_NAMESPACE = "metaflow"
"""The task namespace as the files under k8s/ have it."""


class Samples:
    """The Secret ``devstack-sample`` and the volume claim of the same name."""

    name = "samples"
    needs: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    host_ports: tuple[HostPort, ...] = ()

    def manifests(self, ctx: ServiceContext) -> list[Manifest]:
        """Return the claim, and the Secret with its random token."""
        token = ctx.state.credential(CREDENTIAL)
        # With its checksum beside it, a pod can tell that it got the right
        # token, and nobody else has to know it.
        values = {
            "SAMPLE_TOKEN": token,
            "SAMPLE_TOKEN_SHA256": hashlib.sha256(token.encode()).hexdigest(),
        }
        namespace = ctx.state.namespace
        claim = manifests.with_namespace(manifests.load(self.name), _NAMESPACE, namespace)
        return [*claim, manifests.secret(SECRET, namespace, values)]

    def prepare(self, ctx: ServiceContext) -> None:
        """Do nothing: the manifests are all."""

    def observe(self, ctx: ServiceContext) -> Observation:
        """Return Ready: the claim is bound when the first pod uses it."""
        return Ready()

    def outputs(self, ctx: ServiceContext) -> Outputs:
        """Return nothing: only pods use what is here."""
        return Outputs()
