"""The Postgres image: Debian's server, with the variables of upstream's image."""

from __future__ import annotations

from pathlib import Path

from devstack.images import versions
from devstack.images.archive import Layer, LayeredImage
from devstack.images.artifact_cache import digest
from devstack.images.build_context import CONTAINERS, BuildContext, labels
from devstack.images.catalogue import IMAGES
from devstack.images.debian import RootFileSystem

FILES = RootFileSystem("postgres", (f"postgresql-{versions.POSTGRES}",))
ROOTFS = CONTAINERS / "postgres" / "rootfs"
USER = 65532
HOME = "var/lib/postgresql"
# Postgres requires that its user has a name.
PASSWD = f"root:x:0:0::/:/bin/sh\npostgres:x:{USER}:{USER}::/{HOME}:/bin/sh\n"
ENVIRONMENT = {
    "PATH": f"/usr/lib/postgresql/{versions.POSTGRES}/bin:/usr/local/bin:/usr/bin:/bin",
    "LANG": "C.UTF-8",
    # A folder in the volume, so that a complete database is put there by rename.
    "PGDATA": f"/{HOME}/data/main",
}


class PostgresImage:
    """A database server that creates its database at the first start; a :class:`Recipe`."""

    programs: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The digest of Debian's packages and of our own files."""
        return digest(IMAGES["postgres"].reference, FILES.key, ROOTFS, Path(__file__))

    def image(self, context: BuildContext, scratch: Path) -> LayeredImage:
        """Write the image's layer: Debian, and the entry point."""
        base = FILES.build(context.runner, context.progress, context.cache)
        config = {
            "Entrypoint": ["/usr/local/bin/entrypoint"],
            "User": "postgres",
            "Env": [f"{name}={value}" for name, value in ENVIRONMENT.items()],
            # Fast shutdown: rolls transactions back and disconnects clients.
            "StopSignal": "SIGINT",
            "Labels": labels(self.key),
        }
        with Layer(scratch / "postgres.tar") as layer:
            layer.archive(base, without=("passwd",))
            layer.file("etc/passwd", PASSWD.encode())
            layer.folder(f"{HOME}/data", 0o700, USER)
            layer.tree(ROOTFS)
        return LayeredImage(IMAGES["postgres"].reference, (layer.path,), config)
