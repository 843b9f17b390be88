"""The versions of Kubernetes that a stack may have.

Etcd, CoreDNS and pause are those in the constants of each version's kubeadm
(cmd/kubeadm/app/constants), which looks for images with these tags.
"""

from __future__ import annotations

from dataclasses import dataclass

from devstack.errors import DevstackError, ExitStatus


@dataclass(frozen=True)
class KubernetesVersion:
    """A minor version of Kubernetes.

    Built and pulled node images may differ in the patch, so nothing else may depend on it.

    Attributes:
        minor: as users write it: "1.37".
        built: the version that is compiled if the node image is built from packages.
        pulled: the version of the node image that kind published.
        etcd: the tag of etcd's image that the built version's kubeadm expects.
        coredns: the same of CoreDNS' image.
        pause: the same of the pause image.
    """

    minor: str
    built: str
    pulled: str
    etcd: str
    coredns: str
    pause: str


SUPPORTED = {
    version.minor: version
    for version in (
        KubernetesVersion("1.37", "v1.37.2", "v1.37.0", "3.7.0-0", "v1.14.6", "3.10.2"),
        KubernetesVersion("1.36", "v1.36.3", "v1.36.4", "3.6.8-0", "v1.14.2", "3.10.2"),
        KubernetesVersion("1.35", "v1.35.4", "v1.35.8", "3.6.6-0", "v1.13.1", "3.10.1"),
        KubernetesVersion("1.34", "v1.34.4", "v1.34.11", "3.6.5-0", "v1.12.1", "3.10.1"),
    )
}
"""The versions by minor, newest first."""

DEFAULT = "1.37"
"""The newest minor on which everything is proved."""


def node_image(minor: str) -> str:
    """Return the name in the catalogue of the node image with a minor version."""
    return "node" if minor == DEFAULT else f"node-{minor}"


def parse_minor(minor: str) -> tuple[int, int]:
    """Return a minor version, such as "1.37", as numbers, which can be compared."""
    major, _, rest = minor.partition(".")
    return int(major), int(rest)


def require_supported(minor: str) -> None:
    """Raise ``KUBERNETES_UNSUPPORTED`` unless ``minor`` is one of SUPPORTED."""
    if minor not in SUPPORTED:
        raise DevstackError(
            f"cannot use Kubernetes {minor}",
            cause=_why_unsupported(minor),
            remedy=f"choose from {', '.join(SUPPORTED)}; the default is {DEFAULT}",
            code="KUBERNETES_UNSUPPORTED",
            exit_status=ExitStatus.USAGE,
        )


def _why_unsupported(minor: str) -> str:
    named = next((each for each in SUPPORTED if minor.lstrip("v").startswith(f"{each}.")), "")
    if named or minor.lstrip("v") in SUPPORTED:
        return f"only the minor version can be chosen: {named or minor.lstrip('v')}"
    return "this devstack does not support it"
