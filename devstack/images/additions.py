"""The images that are built upon a pulled one, with the files and settings of the built image.

What they need from the package index is installed by this machine's pip or uv, with its settings,
proxy and certificates, and copied into the image: see :mod:`devstack.docker.addition`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from devstack.docker.addition import ImageAddition
from devstack.docker.client import KEY_LABEL, UPSTREAM_LABEL
from devstack.images import versions
from devstack.images.archive import Layer
from devstack.images.artifact_cache import ArtifactCache, digest
from devstack.images.build_context import CONTAINERS
from devstack.images.catalogue import IMAGES
from devstack.images.machine import architecture
from devstack.images.python_packages import install_packages
from devstack.images.recipes import airflow, postgres, python_service, task
from devstack.images.recipes.kubeflow import KubeflowImage
from devstack.images.recipes.metadata import MetadataImage
from devstack.images.recipes.program import UNPRIVILEGED
from devstack.images.recipes.python_service import PythonServiceImage
from devstack.images.upstream import Upstream
from devstack.process import Runner
from devstack.progress import Progress, step

PYTHON = CONTAINERS / "python"
"""What Docker's Python image lacks, compared with the Python image that is built."""
INIT_LOCK = PYTHON / "requirements.lock"
ADD_PACKAGES = PYTHON / "build" / "add-packages"
STAGE = "devstack-addition"
"""Where `add-packages` finds the packages, in the container."""
_RUN = f"bash /{STAGE}/{ADD_PACKAGES.name}\n"
BYTECODE = f"{STAGE}/bytecode.tar"
"""What `add-packages` compiles: it takes as long as pulling an image."""


@dataclass(frozen=True)
class Packages:
    """Python packages that are copied into an image.

    Attributes:
        name: the name of the artifact.
        lock: requirements with hashes.
        from_source: packages that are published without a wheel.
        with_dependencies: False if the lock names only some of what is needed.
    """

    name: str
    lock: Path
    from_source: tuple[str, ...] = ()
    with_dependencies: bool = True

    @property
    def key(self) -> str:
        """The digest of everything that the packages are made from."""
        return digest(self.lock, versions.TASK_PYTHON, architecture())

    def install(self, runner: Runner, cache: ArtifactCache) -> Path:
        """Return the folder of the packages, filled now if it is not in the cache."""
        options = ["--require-hashes", "--requirement", str(self.lock)]
        if not self.with_dependencies:
            options.append("--no-deps")

        def install(path: Path) -> None:
            install_packages(runner, path, options, versions.TASK_PYTHON, self.from_source)

        return cache.make(f"wheels-{self.name}", self.key, install)


@dataclass(frozen=True)
class Addition:
    """What an image adds to the pulled one that it is built upon.

    Attributes:
        config: the configuration of the image, as its recipe has it.
        script: run in a container of the pulled image, after the files are there.
        rootfs: folders of files.
        files: texts by path.
        packages: Python packages by the folder in STAGE that they are in.
    """

    config: Mapping[str, Any]
    script: str
    rootfs: tuple[Path, ...] = ()
    files: Mapping[str, Path | bytes] = field(default_factory=dict)
    packages: Mapping[str, tuple[Packages, ...]] = field(default_factory=dict)

    def write(self, layer: Layer, installed: Callable[[Packages], Path]) -> None:
        """Write all files.

        Args:
            layer: the archive.
            installed: returns the folder of packages.
        """
        for source in self.rootfs:
            layer.tree(source)
        for name, content in self.files.items():
            layer.file(name, content)
        for folder, all_packages in self.packages.items():
            for packages in all_packages:
                layer.tree(installed(packages), f"{STAGE}/{folder}")

    @property
    def settings(self) -> list[str]:
        """The configuration as Dockerfile instructions."""
        config = self.config
        variables = (each.partition("=") for each in config["Env"])
        lists = {"ENTRYPOINT": config.get("Entrypoint"), "CMD": config.get("Cmd", [])}
        texts = {"USER": config["User"], "WORKDIR": config.get("WorkingDir", "/")}
        return [
            *(f"ENV {name}={json.dumps(value)}" for name, _, value in variables),
            *(f"{name} {json.dumps(value)}" for name, value in lists.items() if value is not None),
            *(f"{name} {value}" for name, value in texts.items()),
        ]


def _variables(settings: Mapping[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in settings.items()]


_INIT = Packages("init", INIT_LOCK)
_STAGED: Mapping[str, Path | bytes] = {f"{STAGE}/{ADD_PACKAGES.name}": ADD_PACKAGES}


def _python_service(name: str, image: PythonServiceImage) -> Addition:
    """Return what one of our own services adds to a Python image."""
    return Addition(
        {
            "Entrypoint": list(image.command),
            "User": UNPRIVILEGED,
            "Env": _variables(python_service.ENVIRONMENT),
        },
        _RUN,
        (PYTHON / "rootfs", python_service.SHARED, image.rootfs),
        _STAGED,
        {"packages": (Packages(name, image.lock), _INIT)},
    )


ADDITIONS = {
    "task": Addition(
        {
            "Cmd": ["python"],
            "User": f"{task.USER}:{task.USER}",
            "WorkingDir": f"/{task.HOME}",
            "Env": _variables(task.ENVIRONMENT),
        },
        f"{_RUN}install -d -m 1777 -o {task.USER} /{task.HOME}\n"
        f"ln -sfn /{task.HOME}/metaflow /metaflow\n",
        (PYTHON / "rootfs", task.ROOTFS),
        {**_STAGED, f"{STAGE}/{task.BYTECODE.name}": task.BYTECODE},
        {
            "packages": (Packages("task", task.LOCK, with_dependencies=False), _INIT),
            "code": (Packages("code", task.CODE_LOCK, with_dependencies=False),),
        },
    ),
    "airflow": Addition(
        {
            "Entrypoint": airflow.ENTRYPOINT,
            "User": f"{airflow.USER}:{airflow.USER}",
            "Env": _variables(airflow.ENVIRONMENT),
        },
        _RUN + f"install -d -o {airflow.USER} /airflow\n",
        (PYTHON / "rootfs", airflow.ROOTFS),
        _STAGED,
        {"packages": (Packages("airflow", airflow.LOCK, airflow.PACKAGES.from_source), _INIT)},
    ),
    "metadata": _python_service("metadata", MetadataImage()),
    "kubeflow": _python_service("kubeflow", KubeflowImage()),
    "postgres": Addition(
        {
            "Entrypoint": ["/usr/local/bin/entrypoint"],
            "User": "postgres",
            "Env": _variables(postgres.ENVIRONMENT),
        },
        f"install -d -m 0700 -o {postgres.USER} /{postgres.HOME}/data\n",
        (postgres.ROOTFS,),
        {"etc/passwd": postgres.PASSWD.encode()},
    ),
}
"""By the names of their images."""


def addition_key(name: str, upstream: Upstream) -> str:
    """Return the digest of everything that an image built upon ``upstream`` is made from."""
    addition = ADDITIONS[name]
    packages = (each.key for group in addition.packages.values() for each in group)
    files = (each if isinstance(each, Path) else each.decode() for each in addition.files.values())
    inputs = (IMAGES[name].reference, upstream.pinned, addition.script, *addition.settings)
    return digest(*inputs, *addition.rootfs, *files, *packages)


class Additions:
    """Builds images upon pulled ones; its methods may run in several threads.

    Args:
        runner: starts Docker, and pip or uv.
        cache: stores the packages.
    """

    def __init__(self, runner: Runner, cache: ArtifactCache) -> None:
        self._runner = runner
        self._cache = cache
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def missing_packages(self, names: Sequence[str]) -> list[Packages]:
        """Return the packages that the images called ``names`` need and the cache lacks."""
        groups = [group for name in names for group in ADDITIONS[name].packages.values()]
        needed = dict.fromkeys(packages for group in groups for packages in group)
        return [each for each in needed if not self._cache.have(f"wheels-{each.name}", each.key)]

    def install_packages(self, missing: Sequence[Packages], progress: Progress) -> None:
        """Install packages that images will need."""
        for packages in missing:
            with step(progress, f"Install Python packages: {packages.name}"):
                self._installed(packages)

    def build(self, name: str, base: str, upstream: Upstream) -> None:
        """Build the image called ``name``.

        Args:
            name: its name in the catalogue.
            base: the pulled image in the engine.
            upstream: where it was pulled from.
        """
        addition, key = ADDITIONS[name], addition_key(name, upstream)
        settings = [
            *addition.settings,
            f"LABEL {KEY_LABEL}={key}",
            f"LABEL {UPSTREAM_LABEL}={upstream.pinned}",
        ]
        known = self._cache.path(f"bytecode-{name}", key)
        with self._cache.scratch(f"addition-{name}") as scratch:
            with Layer(scratch / "files.tar") as layer:
                addition.write(layer, self._installed)
                if known.exists():
                    layer.file(BYTECODE, known)
            compiled = scratch / "bytecode.tar"
            compiles = bool(addition.packages) and not known.exists()
            container = f"devstack-image-builder-{name}-{self._cache.owner}"
            ImageAddition(self._runner, container).build(
                base,
                IMAGES[name].reference,
                layer.path,
                addition.script,
                settings,
                (f"/{BYTECODE}", compiled) if compiles else None,
            )
            if compiles:
                self._cache.add(f"bytecode-{name}", key, compiled)

    def _installed(self, packages: Packages) -> Path:
        with self._lock:
            lock = self._locks.setdefault(packages.name, threading.Lock())
        with lock:
            return packages.install(self._runner, self._cache)
