"""Images: which ones the stack runs, and how they are pulled, built, saved and loaded.

Importing this package is cheap; what builds images is imported when it is used.
"""

from __future__ import annotations

from devstack.images.store import ImageStore

__all__ = ["ImageStore"]
