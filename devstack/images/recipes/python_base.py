"""What the images with Python have in common: Debian's Python, and packages from a lock."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from devstack.images import versions
from devstack.images.archive import Layer
from devstack.images.artifact_cache import digest
from devstack.images.build_context import BuildContext
from devstack.images.bytecode import compile_packages
from devstack.images.debian import RootFileSystem
from devstack.images.python_packages import install_packages
from devstack.progress import step

SITE_PACKAGES = f"usr/local/lib/python{versions.TASK_PYTHON}/dist-packages"
PYTHON = RootFileSystem(
    "python",
    (
        "ca-certificates",
        "procps",
        "python-is-python3",
        "python3",
        # Metaflow ends a task with /sbin/killall5.
        "sysvinit-utils",
        "tini",
    ),
)
"""Shared by all images with Python: one root file system less saves 20 s and costs 3 MB."""


@dataclass(frozen=True)
class PythonPackages:
    """The Python packages of an image.

    Attributes:
        image: the name of the image.
        lock: requirements with hashes.
        from_source: packages that are published without a wheel.
    """

    image: str
    lock: Path
    from_source: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The digest of everything that the packages are made from."""
        return digest(self.lock, versions.TASK_PYTHON, PYTHON.key)

    def add_to(self, layer: Layer, context: BuildContext) -> None:
        """Write Debian, the packages and their bytecode into a layer."""
        base = PYTHON.build(context.runner, context.progress, context.cache)
        made = context.cache.make(
            f"{self.image}-packages", self.key, lambda path: self._install(context, base, path)
        )
        # The mark prevents pip from changing Debian's own Python.
        layer.archive(base, without=("EXTERNALLY-MANAGED",))
        layer.tree(made / "packages", SITE_PACKAGES)
        layer.archive(made / "bytecode.tar")

    def _install(self, context: BuildContext, base: Path, path: Path) -> None:
        packages = path / "packages"
        with step(context.progress, f"Install Python packages for the {self.image} image"):
            install_packages(
                context.runner,
                packages,
                ["--require-hashes", "--requirement", str(self.lock)],
                versions.TASK_PYTHON,
                self.from_source,
            )
        compile_packages(context, base, packages, SITE_PACKAGES)
