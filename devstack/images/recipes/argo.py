"""The image of Argo Workflows: its controller, and its server with a status page."""

from __future__ import annotations

from pathlib import Path

from devstack.images.archive import Layer, LayeredImage
from devstack.images.artifact_cache import digest
from devstack.images.build_context import BuildContext, labels
from devstack.images.catalogue import IMAGES
from devstack.images.programs import PROGRAMS
from devstack.images.recipes.program import FOLDER, UNPRIVILEGED


class ArgoImage:
    """Two programs, run as an unprivileged user; pods name the one they run. A :class:`Recipe`."""

    programs = ("workflow-controller", "argo")

    @property
    def key(self) -> str:
        """The digest of the programs and of the configuration."""
        keys = [PROGRAMS[name].key for name in self.programs]
        return digest(IMAGES["argo"].reference, *keys, UNPRIVILEGED, Path(__file__))

    def image(self, context: BuildContext, scratch: Path) -> LayeredImage:
        """Write the image's layer."""
        with Layer(scratch / "argo.tar") as layer:
            layer.folder("tmp", 0o1777)
            for name in self.programs:
                layer.file(f"{FOLDER}/{name}", context.program(name), 0o755)
        config = {
            "User": UNPRIVILEGED,
            "Env": [f"PATH=/{FOLDER}"],
            "Labels": labels(self.key),
        }
        return LayeredImage(IMAGES["argo"].reference, (layer.path,), config)
