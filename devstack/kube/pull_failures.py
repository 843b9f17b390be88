"""What helps if nodes cannot pull an image, by what containerd reports.

Source: the errors of containerd's core/remotes/docker, of Go's crypto/x509 and net, as the kubelet
shows them in the status of a container.
"""

from __future__ import annotations

import re

from devstack.image_names import split_registry

_DENIED = re.compile(
    r"\b40[13]\b|unauthorized|access denied|authorization failed|no basic auth", re.IGNORECASE
)
_UNTRUSTED = re.compile(r"x509:|certificate (is not|signed|has)", re.IGNORECASE)
_UNREACHABLE = re.compile(
    r"no such host|i/o timeout|connection (refused|reset)|deadline exceeded|handshake timeout"
    r"|no route to host|network is unreachable|server misbehaving",
    re.IGNORECASE,
)
_ASKED = re.compile(r"https?://([^/\s\"?]+)/v2/")
"""The registry in a URL of its API."""
_HUB = re.compile(r"(index|registry-1)\.docker\.io")


def with_advice(remedy: str, image: str, message: str) -> str:
    """Return a remedy together with what lets nodes pull the image.

    Args:
        remedy: what helps without a registry.
        image: the image, as the pod names it.
        message: why it cannot be pulled.
    """
    host = _host(image, message)
    if _UNTRUSTED.search(message):
        return (
            f"let the nodes trust {host}: put its authority into"
            f" ~/.docker/certs.d/{host}/ca.crt, or name it in DEVSTACK_CA_BUNDLE, and run"
            f" `devstack up`; or {remedy}"
        )
    if _DENIED.search(message):
        login = f"`devstack images login {host}` gives task pods this machine's login there"
        return f"if the image needs a login, {login}; or {remedy}"
    if _UNREACHABLE.search(message):
        mirror = f"`devstack up --mirror {split_registry(image)[0]}=HOST/PATH`"
        return f"{remedy}; if the nodes cannot reach {host}, name a mirror: {mirror}"
    return remedy


def _host(image: str, message: str) -> str:
    """Return the registry that was asked: the image's, or its mirror.

    A server that issues tokens for it may have another name, which no login and no certificate of
    containerd is for.
    """
    asked = _ASKED.findall(message)
    host = asked[0] if asked else split_registry(image)[0]
    return "docker.io" if _HUB.fullmatch(host) else host
