"""The RabbitMQ image: Debian's server with its programs in PATH, as in upstream's image."""

from __future__ import annotations

from pathlib import Path

from devstack.images.archive import Layer, LayeredImage
from devstack.images.artifact_cache import digest
from devstack.images.build_context import BuildContext, labels
from devstack.images.catalogue import IMAGES
from devstack.images.debian import RootFileSystem

FILES = RootFileSystem("rabbitmq", ("rabbitmq-server", "tini"))
USER = 65532
# Erlang looks up its user's home.
PASSWD = f"root:x:0:0::/:/bin/sh\nrabbitmq:x:{USER}:{USER}::/var/lib/rabbitmq:/bin/sh\n"
ENVIRONMENT = {
    # Debian's wrappers in /usr/sbin accept only root and its own user.
    "PATH": "/usr/lib/rabbitmq/bin:/usr/local/bin:/usr/bin:/bin",
    "LANG": "C.UTF-8",
}


class RabbitmqImage:
    """The message broker; its settings are in k8s/rabbitmq; a :class:`Recipe`."""

    programs: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The digest of Debian's packages and of the configuration."""
        settings = [f"{name}={value}" for name, value in ENVIRONMENT.items()]
        return digest(IMAGES["rabbitmq"].reference, FILES.key, Path(__file__), *settings)

    def image(self, context: BuildContext, scratch: Path) -> LayeredImage:
        """Write the image's layer."""
        base = FILES.build(context.runner, context.progress, context.cache)
        config = {
            "Cmd": ["rabbitmq-server"],
            "User": f"{USER}:{USER}",
            "Env": [f"{name}={value}" for name, value in ENVIRONMENT.items()],
            "Labels": labels(self.key),
        }
        with Layer(scratch / "rabbitmq.tar") as layer:
            layer.archive(base, without=("passwd",))
            layer.file("etc/passwd", PASSWD.encode())
        return LayeredImage(IMAGES["rabbitmq"].reference, (layer.path,), config)
