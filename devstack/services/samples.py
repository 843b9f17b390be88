"""A Secret and a volume claim that the sample flows use."""

from __future__ import annotations

import hashlib

from devstack.kube import manifests
from devstack.services.base import Manifest, Service, ServiceContext
from devstack.waits import Observation, Ready

SECRET = "devstack-sample"  # noqa: S105 - the Secret's name
CREDENTIAL = "sample-token"

_NAMESPACE = "metaflow"
"""The task namespace in the files below k8s/."""


class SamplesService(Service):
    """The Secret ``devstack-sample`` and the volume claim of the same name."""

    name = "samples"
    about = "volume and Secret of the sample flows"
    needs = ("rbac",)
    samples = ("settings", "storage")

    def manifests(self, ctx: ServiceContext) -> list[Manifest]:
        """Return the claim, and the Secret with its random token."""
        token = ctx.state.credential(CREDENTIAL)
        # The checksum lets a pod verify the token without the token being stored anywhere else.
        values = {
            "SAMPLE_TOKEN": token,
            "SAMPLE_TOKEN_SHA256": hashlib.sha256(token.encode()).hexdigest(),
        }
        namespace = ctx.state.namespace
        claim = manifests.with_namespace(manifests.load(self.name), _NAMESPACE, namespace)
        return [*claim, manifests.secret(SECRET, namespace, values)]

    def observe(self, ctx: ServiceContext) -> Observation:
        """Return Ready: the claim is bound when the first pod uses it."""
        return Ready()
