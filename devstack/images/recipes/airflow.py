"""The Airflow image: Debian's Python, Airflow's packages, and the script that starts it."""

from __future__ import annotations

from pathlib import Path

from devstack.images.archive import Layer, LayeredImage
from devstack.images.artifact_cache import digest
from devstack.images.build_context import CONTAINERS, BuildContext, labels
from devstack.images.catalogue import IMAGES
from devstack.images.recipes.python_base import PythonPackages

AIRFLOW = CONTAINERS / "airflow"
LOCK = AIRFLOW / "requirements.lock"
ROOTFS = AIRFLOW / "rootfs"
PACKAGES = PythonPackages("airflow", LOCK, from_source=("python-nvd3",))
USER = 50000
ENTRYPOINT = ["/usr/bin/tini", "--", "python3", "/opt/devstack/start.py"]
ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "HOME": "/tmp",  # noqa: S108 - a pod's own
    # Airflow looks up its user name, and the image has no such user.
    "USER": "airflow",
    "AIRFLOW_HOME": "/airflow",
    "PYTHONPATH": "/opt/devstack",
    # Bytecode is matched by modification time in seconds and size: a DAG that is replaced
    # within a second, at the same size, would never be read.
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
    # One heap per thread would increase memory use.
    "MALLOC_ARENA_MAX": "2",
}


class AirflowImage:
    """Scheduler, web server and triggerer, chosen by the argument; a :class:`Recipe`."""

    programs: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The digest of the packages and of our own files."""
        settings = [f"{name}={value}" for name, value in ENVIRONMENT.items()]
        reference = IMAGES["airflow"].reference
        return digest(reference, PACKAGES.key, ROOTFS, Path(__file__), *settings, *ENTRYPOINT)

    def image(self, context: BuildContext, scratch: Path) -> LayeredImage:
        """Write the image's layer."""
        config = {
            "Entrypoint": ENTRYPOINT,
            "User": f"{USER}:{USER}",
            "WorkingDir": "/",
            "Env": [f"{name}={value}" for name, value in ENVIRONMENT.items()],
            "Labels": labels(self.key),
        }
        with Layer(scratch / "airflow.tar") as layer:
            PACKAGES.add_to(layer, context)
            layer.folder("airflow", 0o755, USER)
            layer.tree(ROOTFS)
        return LayeredImage(IMAGES["airflow"].reference, (layer.path,), config)
