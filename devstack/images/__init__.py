"""Images: which ones the stack runs, and how they are pulled, built, saved and loaded.

Importing this package is cheap; what builds images is imported when it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from devstack.images.store import ImageStore

__all__ = ["ImageStore"]


def __getattr__(name: str) -> object:
    """Import :class:`ImageStore`; `devstack --version` needs the table of versions only."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from devstack.images.store import ImageStore

    return ImageStore
