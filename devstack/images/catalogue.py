"""The images of the stack: their names, and where each comes from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from devstack.errors import DevstackError, ExitStatus
from devstack.images import versions


@dataclass(frozen=True)
class Image:
    """One image of the stack.

    Attributes:
        name: its name in the catalogue.
        reference: what manifests call it, however it was obtained.
        upstream: what is pulled; for the task image, what it is built upon; empty
            for what is devstack's own and built wherever it is needed.
        about: one line for people.
    """

    name: str
    reference: str
    upstream: str
    about: str


IMAGES = {
    image.name: image
    for image in (
        Image(
            "node",
            f"devstack/node:{versions.KUBERNETES}",
            f"docker.io/kindest/node:{versions.KUBERNETES}",
            "a kind node with Kubernetes and the stack's own images inside",
        ),
        Image(
            "minio",
            f"devstack/minio:{versions.MINIO}",
            f"quay.io/minio/minio:{versions.MINIO}",
            "the S3 server",
        ),
        Image(
            "jobset",
            f"devstack/jobset:{versions.JOBSET}",
            f"registry.k8s.io/jobset/jobset:{versions.JOBSET}",
            "the JobSet controller",
        ),
        Image(
            "gang",
            f"devstack/gang:{versions.GANG}",
            "",
            "devstack's own controller of gangs",
        ),
        Image(
            "task",
            f"devstack/task:{versions.TASK_PYTHON}-{versions.TASK}",
            f"docker.io/library/python:{versions.TASK_PYTHON}-slim-{versions.DEBIAN_SUITE}",
            "what task pods run in: Python, boto3 and requests",
        ),
        Image(
            "postgres",
            f"devstack/postgres:{versions.POSTGRES}",
            f"docker.io/library/postgres:{versions.POSTGRES}-{versions.DEBIAN_SUITE}",
            "the database server",
        ),
        Image(
            "airflow",
            f"devstack/airflow:{versions.AIRFLOW}-{versions.AIRFLOW_RECIPE}",
            f"docker.io/apache/airflow:{versions.AIRFLOW}-python{versions.TASK_PYTHON}",
            "Airflow: scheduler, web server, triggerer",
        ),
        Image(
            "metadata",
            f"devstack/metadata:{versions.METADATA}",
            "",
            "devstack's own metadata service",
        ),
        Image(
            "xcom",
            f"devstack/xcom:{versions.XCOM}",
            f"docker.io/library/busybox:{versions.BUSYBOX}-musl",
            "the sidecar that hands a task's result to Airflow",
        ),
    )
}

PRELOADED = ("minio", "jobset", "gang", "task", "postgres", "metadata", "airflow", "xcom")
"""The images that a built node image has inside, so that `up` loads none."""


def find_image(name: str) -> Image:
    """Return the image called ``name``.

    Raises:
        DevstackError: ``IMAGE_UNKNOWN``.
    """
    if name not in IMAGES:
        raise DevstackError(
            f"there is no image {name!r} in the catalogue",
            remedy=f"the images are {', '.join(IMAGES)}",
            code="IMAGE_UNKNOWN",
            exit_status=ExitStatus.USAGE,
        )
    return IMAGES[name]


def find_images(names: Iterable[str]) -> list[Image]:
    """Return the images called ``names``, all where there are none; see :func:`find_image`."""
    wanted = list(names)
    return [find_image(name) for name in wanted] if wanted else list(IMAGES.values())
