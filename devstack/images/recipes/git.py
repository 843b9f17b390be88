"""The Git image: Debian's git and ssh, git-sync for Airflow's DAG files, and a Git server."""

from __future__ import annotations

from pathlib import Path

from devstack.images.archive import Layer, LayeredImage
from devstack.images.artifact_cache import digest
from devstack.images.build_context import CONTAINERS, BuildContext, labels
from devstack.images.catalogue import IMAGES
from devstack.images.debian import RootFileSystem

FILES = RootFileSystem("git", ("ca-certificates", "git", "openssh-client", "python3", "tini"))
ROOTFS = CONTAINERS / "git" / "rootfs"
USER = 65532
# ssh requires that its user has a name; the second is the owner of Airflow's volume.
PASSWD = (
    "root:x:0:0::/:/bin/sh\n"
    f"git:x:{USER}:{USER}::/tmp:/bin/sh\n"
    "airflow:x:50000:50000::/tmp:/bin/sh\n"
)
ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "HOME": "/tmp",  # noqa: S108 - a pod's own
    "PYTHONPATH": "/opt/devstack",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
}


class GitImage:
    """git-sync or the server, chosen by the argument; a :class:`Recipe`."""

    programs: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The digest of Debian's packages and of our own files."""
        settings = [f"{name}={value}" for name, value in ENVIRONMENT.items()]
        return digest(IMAGES["git"].reference, FILES.key, ROOTFS, Path(__file__), *settings)

    def image(self, context: BuildContext, scratch: Path) -> LayeredImage:
        """Write the image's layer."""
        base = FILES.build(context.runner, context.progress, context.cache)
        config = {
            "Entrypoint": ["/usr/bin/tini", "--", "python3", "-m"],
            "User": f"{USER}:{USER}",
            "Env": [f"{name}={value}" for name, value in ENVIRONMENT.items()],
            "Labels": labels(self.key),
        }
        with Layer(scratch / "git.tar") as layer:
            layer.archive(base, without=("passwd",))
            layer.file("etc/passwd", PASSWD.encode())
            layer.tree(ROOTFS)
        return LayeredImage(IMAGES["git"].reference, (layer.path,), config)
