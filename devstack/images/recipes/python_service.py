"""The images of devstack's own services: Debian's Python, a web server, and our own code."""

from __future__ import annotations

from pathlib import Path

from devstack.images.archive import Layer, LayeredImage
from devstack.images.artifact_cache import digest
from devstack.images.build_context import CONTAINERS, BuildContext, labels
from devstack.images.catalogue import IMAGES
from devstack.images.recipes.program import UNPRIVILEGED
from devstack.images.recipes.python_base import PythonPackages

SHARED = CONTAINERS / "database_service" / "rootfs"
"""Code that these services share."""

ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "PYTHONPATH": "/opt/devstack",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
}


class PythonServiceImage:
    """A service of ours, run as an unprivileged user; a :class:`Recipe`.

    Args:
        name: the image; also the folder below ``devstack/containers``.
        module: the package that is run.
    """

    programs: tuple[str, ...] = ()

    def __init__(self, name: str, module: str) -> None:
        self._name = name
        self._module = module
        self._packages = PythonPackages(name, self.lock)

    @property
    def command(self) -> tuple[str, ...]:
        """The image's entrypoint."""
        return ("python3", "-m", self._module)

    @property
    def lock(self) -> Path:
        """The requirements, with hashes."""
        return CONTAINERS / self._name / "requirements.lock"

    @property
    def rootfs(self) -> Path:
        """The service's own code."""
        return CONTAINERS / self._name / "rootfs"

    @property
    def key(self) -> str:
        """The digest of the packages and of our own code."""
        settings = [f"{name}={value}" for name, value in ENVIRONMENT.items()]
        return digest(
            IMAGES[self._name].reference,
            self._packages.key,
            self.rootfs,
            SHARED,
            Path(__file__),
            *settings,
        )

    def image(self, context: BuildContext, scratch: Path) -> LayeredImage:
        """Write the image's layer."""
        with Layer(scratch / f"{self._name}.tar") as layer:
            self._packages.add_to(layer, context)
            layer.tree(SHARED)
            layer.tree(self.rootfs)
        config = {
            "Entrypoint": list(self.command),
            "User": UNPRIVILEGED,
            "WorkingDir": "/",
            "Env": [f"{name}={value}" for name, value in ENVIRONMENT.items()],
            "Labels": labels(self.key),
        }
        return LayeredImage(IMAGES[self._name].reference, (layer.path,), config)
