"""The image that task pods run in."""

from __future__ import annotations

import shutil
from pathlib import Path

from devstack.images import versions
from devstack.images.archive import Layer, LayeredImage
from devstack.images.artifact_cache import digest
from devstack.images.build_context import CONTAINERS, BuildContext, labels
from devstack.images.bytecode import compile_inside
from devstack.images.catalogue import IMAGES
from devstack.images.python_packages import install_packages
from devstack.images.recipes.python_base import PYTHON, SITE_PACKAGES
from devstack.progress import step

LOCK = CONTAINERS / "task" / "requirements.lock"
# Metaflow is in each flow's code package; the image contains its bytecode.
CODE_LOCK = CONTAINERS / "task" / "metaflow.lock"
BYTECODE = CONTAINERS / "task" / "build" / "bytecode.sh"
ROOTFS = CONTAINERS / "task" / "rootfs"
USER, HOME = 1000, "home/task"
ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
    "HOME": f"/{HOME}",
    "LANG": "C.UTF-8",
    # The packages are in the image, so pods install nothing when they start.
    "METAFLOW_SKIP_INSTALL_DEPENDENCIES": "1",
}

_COMPILE = f"""\
mkdir -p /{SITE_PACKAGES}
cp -r /out/packages/. /{SITE_PACKAGES}
bash /out/{BYTECODE.name} /out/code "$1"
"""


class TaskImage:
    """Python with boto3, requests and uv, run as an ordinary user; a :class:`Recipe`."""

    programs: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The digest of the packages."""
        settings = [f"{name}={value}" for name, value in ENVIRONMENT.items()]
        return digest(PYTHON.key, LOCK, CODE_LOCK, BYTECODE, ROOTFS, Path(__file__), *settings)

    def image(self, context: BuildContext, scratch: Path) -> LayeredImage:
        """Write the image's layer: Debian, the Python packages and their bytecode."""
        config = {
            "Cmd": ["python"],
            "User": f"{USER}:{USER}",
            "WorkingDir": f"/{HOME}",
            "Env": [f"{name}={value}" for name, value in ENVIRONMENT.items()],
            "Labels": labels(self.key),
        }
        base = PYTHON.build(context.runner, context.progress, context.cache)
        made = context.cache.make(
            "task-packages",
            digest(LOCK, CODE_LOCK, BYTECODE, versions.TASK_PYTHON, PYTHON.key),
            lambda path: _install(context, base, path),
        )
        with Layer(scratch / "task.tar") as layer:
            # The mark prevents pip from changing Debian's own Python; the bytecode comes with
            # a sitecustomize.py of its own.
            layer.archive(base, without=("EXTERNALLY-MANAGED", "__pycache__", "sitecustomize.py"))
            # Pods may run as any user.
            layer.folder(HOME, 0o1777, USER)
            # Metaflow's spot monitor starts the flow's file there, as if pods worked in /
            # (metaflow: plugins/kubernetes/spot_monitor_sidecar.py).
            layer.link("metaflow", f"/{HOME}/metaflow")
            layer.tree(made / "packages", SITE_PACKAGES)
            # pip puts programs below the folder of the packages.
            layer.link("usr/local/bin/uv", f"/{SITE_PACKAGES}/bin/uv")
            layer.tree(ROOTFS)
            layer.archive(made / "bytecode.tar")
        return LayeredImage(IMAGES["task"].reference, (layer.path,), config)


def _install(context: BuildContext, base: Path, path: Path) -> None:
    with step(context.progress, "Install Python packages for the task image"):
        for folder, lock in (("packages", LOCK), ("code", CODE_LOCK)):
            install_packages(
                context.runner,
                path / folder,
                ["--no-deps", "--require-hashes", "--requirement", str(lock)],
                versions.TASK_PYTHON,
            )
    shutil.copy(BYTECODE, path)
    compile_inside(context, base, _COMPILE, path / "bytecode.tar")
    shutil.rmtree(path / "code")
