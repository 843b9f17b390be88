"""The image of the metadata service: Debian's Python, a web server, and our own code."""

from __future__ import annotations

from pathlib import Path

from devstack.images import versions
from devstack.images.archive import Layer, LayeredImage
from devstack.images.artifact_cache import digest
from devstack.images.build_context import CONTAINERS, BuildContext, labels
from devstack.images.bytecode import compile_packages
from devstack.images.catalogue import IMAGES
from devstack.images.debian import RootFileSystem
from devstack.images.python_packages import install_packages
from devstack.images.recipes.program import NOBODY
from devstack.progress import step

LOCK = CONTAINERS / "metadata" / "requirements.lock"
ROOTFS = CONTAINERS / "metadata" / "rootfs"
PACKAGES = f"usr/local/lib/python{versions.TASK_PYTHON}/dist-packages"
FILES = RootFileSystem("metadata", ("python3",))
COMMAND = ("python3", "-m", "metadata_service")
ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "PYTHONPATH": "/opt/devstack",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
}


class MetadataImage:
    """The metadata service, run as nobody; a :class:`Recipe`."""

    programs: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The packages, Debian's and Python's, and our own code."""
        settings = [f"{name}={value}" for name, value in ENVIRONMENT.items()]
        return digest(
            IMAGES["metadata"].reference,
            FILES.key,
            LOCK,
            ROOTFS,
            Path(__file__),
            *settings,
        )

    def image(self, context: BuildContext, scratch: Path) -> LayeredImage:
        """Make the image's one layer."""
        base = FILES.build(context.runner, context.progress, context.cache)
        made = context.cache.make(
            "metadata-packages",
            digest(LOCK, versions.TASK_PYTHON, FILES.key),
            lambda path: _install(context, base, path),
        )
        with Layer(scratch / "metadata.tar") as layer:
            layer.archive(base, without=("EXTERNALLY-MANAGED",))
            layer.tree(made / "packages", PACKAGES)
            layer.archive(made / "bytecode.tar")
            layer.tree(ROOTFS)
        config = {
            "Entrypoint": list(COMMAND),
            "User": NOBODY,
            "WorkingDir": "/",
            "Env": [f"{name}={value}" for name, value in ENVIRONMENT.items()],
            "Labels": labels(self.key),
        }
        return LayeredImage(IMAGES["metadata"].reference, (layer.path,), config)


def _install(context: BuildContext, base: Path, path: Path) -> None:
    packages = path / "packages"
    with step(context.progress, "Install the metadata service's Python packages"):
        install_packages(
            context.runner,
            packages,
            ["--require-hashes", "--requirement", str(LOCK)],
            versions.TASK_PYTHON,
        )
    compile_packages(context, base, packages, PACKAGES)
