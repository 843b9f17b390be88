"""The image of the metadata service."""

from __future__ import annotations

from devstack.images.recipes.python_service import PythonServiceImage


class MetadataImage(PythonServiceImage):
    """The metadata service; a :class:`Recipe`."""

    def __init__(self) -> None:
        super().__init__("metadata", "metadata_service")
