"""The error for a cluster that belongs to another state directory or user."""

from __future__ import annotations

from devstack.errors import DevstackError, ExitStatus
from devstack.owner import Owner


def foreign_cluster(stack: str, cluster: str, owner: Owner) -> DevstackError:
    """Return ``CLUSTER_FOREIGN``.

    Args:
        stack: the stack's name.
        cluster: what to call it, such as ``the kind cluster 'devstack-ci'``.
        owner: its owner.
    """
    home = owner.home()
    owners = f", or use the owner's stack with {home}" if home else ""
    return DevstackError(
        f"cannot use the stack name {stack!r}",
        cause=f"{cluster} belongs to another stack of this name ({owner})",
        remedy=f"choose another --name{owners}",
        code="CLUSTER_FOREIGN",
        exit_status=ExitStatus.ENVIRONMENT,
    )
