"""The MinIO image: the server, the client of its health check, and a folder for its data."""

from __future__ import annotations

from pathlib import Path

from devstack.images.archive import Layer, LayeredImage
from devstack.images.artifact_cache import digest
from devstack.images.build_context import BuildContext, labels
from devstack.images.catalogue import IMAGES
from devstack.images.programs import PROGRAMS

USER = 65532
FOLDER = "usr/local/bin"


class MinioImage:
    """The S3 server, run as an unprivileged user; a :class:`Recipe`."""

    programs = ("minio", "curl")

    @property
    def key(self) -> str:
        """The digest of the programs and of their layout."""
        return digest(
            IMAGES["minio"].reference,
            *(PROGRAMS[name].key for name in self.programs),
            Path(__file__),
        )

    def image(self, context: BuildContext, scratch: Path) -> LayeredImage:
        """Write the image's layer."""
        with Layer(scratch / "minio.tar") as layer:
            layer.folder("tmp", 0o1777)
            # A new Docker volume gets its owner from this folder.
            layer.folder("data", 0o700, USER)
            for name in self.programs:
                layer.file(f"{FOLDER}/{name}", context.program(name), 0o755)
        config = {
            "Entrypoint": [f"/{FOLDER}/minio"],
            "User": f"{USER}:{USER}",
            "Env": [f"PATH=/{FOLDER}"],
            "Labels": labels(self.key),
        }
        return LayeredImage(IMAGES["minio"].reference, (layer.path,), config)
