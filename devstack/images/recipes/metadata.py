"""The image of the metadata service: Debian's Python, a web server, and our own code."""

from __future__ import annotations

from pathlib import Path

from devstack.images.archive import Layer, LayeredImage
from devstack.images.artifact_cache import digest
from devstack.images.build_context import CONTAINERS, BuildContext, labels
from devstack.images.catalogue import IMAGES
from devstack.images.recipes.program import UNPRIVILEGED
from devstack.images.recipes.python_base import PythonPackages

LOCK = CONTAINERS / "metadata" / "requirements.lock"
ROOTFS = CONTAINERS / "metadata" / "rootfs"
PACKAGES = PythonPackages("metadata", LOCK)
COMMAND = ("python3", "-m", "metadata_service")
ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "PYTHONPATH": "/opt/devstack",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
}


class MetadataImage:
    """The metadata service, run as an unprivileged user; a :class:`Recipe`."""

    programs: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The digest of the packages and of our own code."""
        settings = [f"{name}={value}" for name, value in ENVIRONMENT.items()]
        return digest(
            IMAGES["metadata"].reference,
            PACKAGES.key,
            ROOTFS,
            Path(__file__),
            *settings,
        )

    def image(self, context: BuildContext, scratch: Path) -> LayeredImage:
        """Write the image's layer."""
        with Layer(scratch / "metadata.tar") as layer:
            PACKAGES.add_to(layer, context)
            layer.tree(ROOTFS)
        config = {
            "Entrypoint": list(COMMAND),
            "User": UNPRIVILEGED,
            "WorkingDir": "/",
            "Env": [f"{name}={value}" for name, value in ENVIRONMENT.items()],
            "Labels": labels(self.key),
        }
        return LayeredImage(IMAGES["metadata"].reference, (layer.path,), config)
