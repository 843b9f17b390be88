"""devstack: a local Kubernetes stack on which Metaflow flows run end to end."""

from __future__ import annotations


def __getattr__(name: str) -> str:
    """Return ``__version__``, which takes a look at the installed packages, or at git."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from devstack.version import devstack_version

    return devstack_version()
