"""The Redis image: Debian's server."""

from __future__ import annotations

from pathlib import Path

from devstack.images.archive import Layer, LayeredImage
from devstack.images.artifact_cache import digest
from devstack.images.build_context import BuildContext, labels
from devstack.images.catalogue import IMAGES
from devstack.images.debian import RootFileSystem

FILES = RootFileSystem("redis", ("redis-server",))
USER = 65532
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}


class RedisImage:
    """The server; its settings are in k8s/redis; a :class:`Recipe`."""

    programs: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The digest of Debian's packages and of the configuration."""
        settings = [f"{name}={value}" for name, value in ENVIRONMENT.items()]
        return digest(IMAGES["redis"].reference, FILES.key, Path(__file__), *settings)

    def image(self, context: BuildContext, scratch: Path) -> LayeredImage:
        """Write the image's layer."""
        base = FILES.build(context.runner, context.progress, context.cache)
        config = {
            "Cmd": ["redis-server"],
            "User": f"{USER}:{USER}",
            "Env": [f"{name}={value}" for name, value in ENVIRONMENT.items()],
            "Labels": labels(self.key),
        }
        with Layer(scratch / "redis.tar") as layer:
            layer.archive(base)
        return LayeredImage(IMAGES["redis"].reference, (layer.path,), config)
