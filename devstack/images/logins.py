"""Which logins of this machine pods need, in order to pull images by the names that they have.

For an image, the kubelet chooses the login by the registry in its name, and containerd sends
that to whatever it asks: the mirror, if the registry has one. So the login at a mirror is entered
under the names of the registries that it serves, and that at a registry with a mirror is not
used. Source: ``BasicDockerKeyring.Lookup`` of Kubernetes, ``ParseAuth`` of containerd's CRI.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from devstack.docker.credentials import Credential, Credentials, missing_login
from devstack.errors import DevstackError
from devstack.images.mirrors import Mirrors, mirror_host
from devstack.mirror_settings import EVERY_OTHER

WELL_KNOWN = (
    "docker.io",
    "docker.elastic.co",
    "gcr.io",
    "ghcr.io",
    "mcr.microsoft.com",
    "nvcr.io",
    "public.ecr.aws",
    "quay.io",
    "registry.access.redhat.com",
    "registry.gitlab.com",
    "registry.k8s.io",
    "registry.redhat.io",
)
"""The registries for which the login at a mirror of "*" is entered.

A pattern would also match registries that have no mirror, and send them the mirror's password.
"""


def find_hosts(registry: str, mirrors: Mapping[str, str], warn: Callable[[str], None]) -> list[str]:
    """Return where this machine is logged in, and so where pods could be.

    Args:
        registry: the one that is wanted, or that of a mirror; empty for all.
        mirrors: the mirrors of registries.
        warn: called with what is wrong with one of all logins.

    Raises:
        DevstackError: ``LOGIN_MISSING``, ``LOGIN_UNSUPPORTED`` or ``CREDENTIALS_UNREADABLE``.
    """
    known = Credentials()
    if registry:
        host = pull_host(registry, mirrors)
        if known.find(host) is None:
            raise missing_login(host)
        return [host]
    found = []
    for host in known.registries():
        try:
            if known.find(host):
                found.append(host)
        except DevstackError as error:
            warn(f"{host} is left out: {error}")
    if not found:
        raise missing_login()
    return found


def read_logins(hosts: Iterable[str]) -> tuple[list[Credential], list[str]]:
    """Return the logins at ``hosts``, and those hosts at which this machine has none.

    Raises:
        DevstackError: ``LOGIN_UNSUPPORTED`` or ``CREDENTIALS_UNREADABLE``.
    """
    known = Credentials()
    found = {host: known.find(host) for host in hosts}
    logins = [login for login in found.values() if login]
    return logins, [host for host, login in found.items() if not login]


def pull_host(registry: str, mirrors: Mapping[str, str]) -> str:
    """Return the host that is asked for images of a registry: its mirror's, or itself."""
    return mirror_host(Mirrors.from_settings(mirrors).find(registry) or registry)


def by_registry(
    logins: Iterable[Credential], mirrors: Mapping[str, str]
) -> dict[str, tuple[str, str]]:
    """Return names and passwords by the registries in the names of images.

    Args:
        logins: the logins at hosts.
        mirrors: the mirrors that nodes use.
    """
    by_host = {login.registry: (login.user, login.password) for login in logins}
    registries = {*by_host, *mirrors} - {EVERY_OTHER}
    if EVERY_OTHER in mirrors:
        registries.update(WELL_KNOWN)
    hosts = {registry: pull_host(registry, mirrors) for registry in sorted(registries)}
    return {registry: by_host[host] for registry, host in hosts.items() if host in by_host}
