"""Claiming a cluster's name on a Docker engine, which several users and homes may share.

The claim is an empty volume whose labels name the owner. Docker creates a volume, or
returns the one that exists, in one step: of two stacks that create the same cluster at the
same moment, exactly one gets the name.
"""

from __future__ import annotations

from devstack.docker.client import DockerClient
from devstack.owner import Owner


class Claim:
    """The claim to one cluster's name.

    Args:
        engine: the Docker engine.
        cluster: the cluster's name.
    """

    def __init__(self, engine: DockerClient, cluster: str) -> None:
        self._engine = engine
        # No stack's name has a dot, so no other cluster has a volume of this name.
        self._volume = f"{cluster}.owner"

    def holder(self) -> Owner | None:
        """Return who holds the claim, or None."""
        labels = self._engine.volume_labels(self._volume)
        return None if labels is None else Owner.from_labels(labels)

    def acquire(self, owner: Owner) -> Owner:
        """Claim the name for ``owner`` unless it is claimed; return who holds it then."""
        return Owner.from_labels(self._engine.claim_volume(self._volume, owner.labels()))

    def release(self, owner: Owner) -> None:
        """Remove the claim if ``owner`` holds it; the last step of a removal."""
        holder = self.holder()
        if holder and holder.matches(owner):
            self._engine.remove_volume(self._volume)
