"""The logins that task pods have at registries: a Secret, attached to their service account."""

from __future__ import annotations

from collections.abc import Mapping

from devstack.errors import DevstackError
from devstack.images.logins import by_registry, find_hosts, pull_host, read_logins
from devstack.kube.apply import differing
from devstack.kube.client import Object
from devstack.kube.manifests import with_owner
from devstack.kube.pull_secrets import NAME, build_pull_secret, registries_of
from devstack.lifecycle.step import Step
from devstack.providers.base import ConfiguresRegistries
from devstack.services.rbac import TASK_ACCOUNT, RbacService
from devstack.stack import Stack, require_up


def login(stack: Stack, registry: str) -> list[str]:
    """Give task pods this machine's login at a registry, or at all of them.

    Args:
        stack: the stack, which is up.
        registry: as images name it; empty for all registries.

    Returns:
        The registries from which task pods can pull with a login.

    Raises:
        DevstackError: ``STACK_DOWN``, ``LOGIN_MISSING``, ``LOGIN_UNSUPPORTED`` or
            ``CREDENTIALS_UNREADABLE``.
    """
    with stack.dir.lock():
        _reread(stack)
        hosts = find_hosts(registry, _mirrors(stack), stack.progress.warn)
        stack.state.logins = sorted({*stack.state.logins, *hosts})
        stack.save()
        secret = _build(stack)
        stack.kube().apply(secret)
        _attach(stack)
        return registries_of(secret)


def logout(stack: Stack, registry: str) -> list[str]:
    """Take the login at a registry away from task pods, or all logins.

    Returns:
        The registries from which task pods can still pull with a login.

    Raises:
        DevstackError: ``STACK_DOWN`` or ``CREDENTIALS_UNREADABLE``.
    """
    with stack.dir.lock():
        _reread(stack)
        gone = {registry, pull_host(registry, _mirrors(stack))}
        stack.state.logins = [host for host in stack.state.logins if registry and host not in gone]
        left = _apply_rest(stack)
        # At last: until then, an interrupted logout is one that the next `up` undoes.
        stack.save()
        return left


def _apply_rest(stack: Stack) -> list[str]:
    """Reduce the Secret to the logins that are left; return their registries."""
    if stack.state.logins:
        secret = _build(stack)
        stack.kube().apply(secret)
        return registries_of(secret)
    # First the account: a pod that names a missing Secret has a warning among its events.
    _attach(stack)
    stack.kube().delete("v1", "Secret", NAME, stack.state.namespace)
    return []


def login_steps(stack: Stack) -> list[Step]:
    """Return the step of `up` that renews the logins of task pods, if they have any."""
    if not stack.state.logins:
        return []
    return [
        Step(
            "pull-secret",
            "Renew the logins of task pods at registries",
            is_done=lambda: _is_current(stack),
            ensure=lambda: _renew(stack),
            commands=lambda: [f"log in to {host}" for host in stack.state.logins],
            needs_api=True,
        )
    ]


def _reread(stack: Stack) -> None:
    # Another command may have written it before this one got the lock.
    stack.state = stack.dir.read() or stack.state
    require_up(stack)


def _is_current(stack: Stack) -> bool:
    """Return True if the Secret has this machine's logins, or if those cannot be read."""
    try:
        return not differing(stack.kube(), [_build(stack)])
    except DevstackError as error:
        if error.code not in ("CREDENTIALS_UNREADABLE", "LOGIN_UNSUPPORTED"):
            raise
        stack.progress.warn(f"task pods keep their logins at registries: {error}; {error.remedy}")
        return True


def _renew(stack: Stack) -> None:
    stack.kube().apply(_build(stack))


def _build(stack: Stack) -> Object:
    logins, missing = read_logins(stack.state.logins)
    if missing:
        stack.progress.warn(
            f"this machine is no longer logged in to {', '.join(missing)}, so task pods are not; "
            "`devstack images logout` forgets it"
        )
    secret = build_pull_secret(stack.state.namespace, by_registry(logins, _mirrors(stack)))
    return with_owner([secret], stack.spec.name, stack.state.owner)[0]


def _mirrors(stack: Stack) -> Mapping[str, str]:
    """Return the mirrors that the nodes use."""
    return stack.spec.mirror if isinstance(stack.provider, ConfiguresRegistries) else {}


def _attach(stack: Stack) -> None:
    """Write the service account of task pods, with or without the Secret."""
    for service in stack.services:
        if service.name != RbacService.name:
            continue
        for manifest in stack.manifests(service):
            if (
                manifest["kind"] == "ServiceAccount"
                and manifest["metadata"]["name"] == TASK_ACCOUNT
            ):
                stack.kube().apply(manifest)
