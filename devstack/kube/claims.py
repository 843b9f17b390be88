"""Persistent volume claims that users create for their flows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from devstack import quantity
from devstack.errors import DevstackError, ExitStatus
from devstack.kube.api_errors import ApiError, ConflictError, ForbiddenError, InvalidError
from devstack.kube.claim_users import find_users, pods_that_mount
from devstack.kube.client import KubeClient, Object
from devstack.kube.conditions import has_ended
from devstack.kube.volumes import namespace_flag
from devstack.waits import Clock, Observation, Ready, SystemClock, Waiting, wait_until

KIND = "PersistentVolumeClaim"

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
"""A DNS subdomain (RFC 1123), which the name of a claim has to be."""

DELETE_TIMEOUT = 30.0
"""Seconds until a claim that no pod mounts is deleted; the controller takes a moment."""

JOB_TIMEOUT = 5.0
"""Seconds until a Job without a pod uses its claim: it is complete a moment after its last pod."""

MAX_NAME = 253
SMALLEST, LARGEST = 1, 1 << 62
"""Bytes: Kubernetes rejects a request of 0, and cannot represent more than 2^63 - 1."""


@dataclass(frozen=True)
class Claim:
    """A claim.

    Attributes:
        name: its name.
        size: the requested size, such as ``10Gi``.
        state: ``Bound``; ``Pending`` until the first pod uses it; ``Lost``; ``Terminating``.
        access: its access modes, separated by commas.
        pods: the names of the active pods that use it.
    """

    name: str
    size: str
    state: str
    access: str
    pods: Sequence[str] = ()


def build_claim(namespace: str, name: str, size: str) -> Object:
    """Return a claim of the cluster's default storage class.

    Args:
        namespace: the namespace of the pods that mount it.
        name: its name.
        size: a quantity in bytes, such as ``10Gi``.

    Raises:
        DevstackError: ``CLAIM_INVALID`` with everything that is wrong.
    """
    _require_valid(name, size)
    return {
        "apiVersion": "v1",
        "kind": KIND,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": size}},
        },
    }


def ensure_claim(client: KubeClient, namespace: str, name: str, size: str) -> bool:
    """Create a claim unless it exists with the same size; return True if it was created.

    Args:
        client: an identity that may create claims.
        namespace: the namespace of the pods that mount it.
        name: its name.
        size: a quantity in bytes.

    Raises:
        DevstackError: ``CLAIM_INVALID``; ``CLAIM_EXISTS`` if it has another size or is being
            deleted; ``CLAIM_FORBIDDEN`` if a quota or a limit range does not allow it.
    """
    manifest = build_claim(namespace, name, size)
    try:
        client.create(manifest)
    except (ForbiddenError, InvalidError) as refused:
        raise _forbidden(name, refused) from refused
    except ConflictError:
        existing = client.find("v1", KIND, name, namespace)
        if existing is None:  # deleted in the meantime
            client.create(manifest)
            return True
        _require_same(existing, size, namespace_flag(client, namespace))
        return False
    return True


def _forbidden(name: str, refused: ApiError) -> DevstackError:
    """Return the error for a claim that a quota or a limit range does not allow."""
    # The messages of Kubernetes' admission plug-ins ResourceQuota and LimitRanger.
    if "exceeded quota" not in refused.detail and "per PersistentVolumeClaim" not in refused.detail:
        return refused
    return DevstackError(
        f"cannot create the volume claim {name!r}",
        cause=refused.detail,
        remedy="create a smaller one, delete one (`devstack pvc list`), or change the limit:"
        " devstack kubectl --admin get resourcequota,limitrange",
        code="CLAIM_FORBIDDEN",
    )


def list_claims(client: KubeClient, namespace: str) -> list[Claim]:
    """Return the claims of a namespace, by name."""
    pods = _active_pods(client, namespace)
    found = client.list_objects("v1", KIND, namespace)
    return sorted((_claim(item, pods) for item in found), key=lambda claim: claim.name)


def delete_claims(
    client: KubeClient, namespace: str, names: Sequence[str], clock: Clock | None = None
) -> list[str]:
    """Delete claims, after checking all of them; return the names of those that existed.

    Kubernetes keeps a claim as long as a pod exists that mounts it, also one that has ended
    ("Storage Object in Use Protection"), so ended pods that mount it are deleted with it.

    Raises:
        DevstackError: ``CLAIM_INVALID``: one has no valid name; ``CLAIM_IN_USE``: a pod,
            Job or JobSet that has not ended names one; ``WAIT_TIMEOUT``: it is not deleted in time.
    """
    mistakes = [mistake for name in names for mistake in _name_mistakes(name)]
    if mistakes:
        raise _invalid("delete", mistakes, "devstack pvc list")
    clock = clock or SystemClock()
    pods = _require_unused(client, namespace, names, clock)
    deleted = [name for name in dict.fromkeys(names) if client.delete("v1", KIND, name, namespace)]
    for pod in {user for name in deleted for user in pods_that_mount(pods, name)}:
        client.delete("v1", "Pod", pod, namespace)
    wait_until(
        lambda: _observe_deleted(client, namespace, deleted),
        what=f"the volume claim {', '.join(deleted)} to be deleted",
        timeout=DELETE_TIMEOUT,
        clock=clock,
    )
    return deleted


def _require_unused(
    client: KubeClient, namespace: str, names: Sequence[str], clock: Clock
) -> list[Object]:
    """Return the pods of a namespace, none of which uses these claims any more."""
    deadline = clock.now() + JOB_TIMEOUT
    while True:
        pods = client.list_objects("v1", "Pod", namespace)
        used = find_users(client, namespace, pods, names)
        if not used:
            return pods
        if any(user.startswith("pod ") for user in used.values()) or clock.now() >= deadline:
            raise DevstackError(
                f"cannot delete the volume claim {', '.join(map(repr, used))}",
                cause="; ".join(f"{name!r} is used by {users}" for name, users in used.items()),
                remedy="wait until they have ended, or stop the run",
                code="CLAIM_IN_USE",
            )
        clock.sleep(0.2)


def _observe_deleted(client: KubeClient, namespace: str, names: Sequence[str]) -> Observation:
    """Return Ready once claims do not exist, and no volume is bound to one."""
    kept = [name for name in names if client.find("v1", KIND, name, namespace)]
    if kept:
        return Waiting(f"{', '.join(kept)} still exists; Kubernetes waits for pods that mount it")
    for volume in client.list_objects("v1", "PersistentVolume") if names else []:
        claim = volume["spec"].get("claimRef") or {}
        bound = volume.get("status", {}).get("phase") == "Bound"
        if bound and claim.get("namespace") == namespace and claim.get("name") in names:
            return Waiting(f"its volume {volume['metadata']['name']} is not released yet")
    return Ready()


def _name_mistakes(name: str) -> list[str]:
    if _NAME.fullmatch(name) and len(name) <= MAX_NAME:
        return []
    return [
        f"{name!r} is not a name: lower case letters, digits, '-' and '.', at most"
        f" {MAX_NAME} characters, starting and ending with a letter or digit"
    ]


def _invalid(verb: str, mistakes: Sequence[str], remedy: str) -> DevstackError:
    return DevstackError(
        f"cannot {verb} the volume claim",
        cause="; ".join(mistakes),
        remedy=remedy,
        code="CLAIM_INVALID",
        exit_status=ExitStatus.USAGE,
    )


def _require_valid(name: str, size: str) -> None:
    mistakes = _name_mistakes(name)
    amount = quantity.parse(size)
    if amount is None or not SMALLEST <= amount <= LARGEST:
        mistakes.append(f"{size!r} is not a size such as 10Gi, 500Mi or 2Ti")
    if mistakes:
        raise _invalid("create", mistakes, "devstack pvc create my-data 10Gi")


def _require_same(existing: Object, size: str, flags: str) -> None:
    name, has = existing["metadata"]["name"], _requested(existing)
    if existing["metadata"].get("deletionTimestamp"):
        cause, remedy = "it is being deleted, once no pod uses it", f"devstack pvc list{flags}"
    elif quantity.parse(has) != quantity.parse(size):
        cause = f"it exists with a size of {has}, not {size}"
        remedy = f"devstack pvc delete {name}{flags} deletes it and its data; or use another name"
    else:
        return
    raise DevstackError(
        f"cannot create the volume claim {name!r}",
        cause=cause,
        remedy=remedy,
        code="CLAIM_EXISTS",
    )


def _claim(item: Object, pods: Sequence[Object]) -> Claim:
    name = item["metadata"]["name"]
    deleting = bool(item["metadata"].get("deletionTimestamp"))
    return Claim(
        name=name,
        size=_requested(item),
        state="Terminating" if deleting else item.get("status", {}).get("phase", "Pending"),
        access=",".join(item["spec"].get("accessModes", [])),
        pods=pods_that_mount(pods, name),
    )


def _requested(item: Object) -> str:
    return str(item["spec"]["resources"]["requests"]["storage"])


def _active_pods(client: KubeClient, namespace: str) -> list[Object]:
    pods = client.list_objects("v1", "Pod", namespace)
    return [pod for pod in pods if not has_ended(pod)]
