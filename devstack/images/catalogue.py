"""The images of the stack: their names and upstream references."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from devstack.errors import DevstackError, ExitStatus
from devstack.images import versions
from devstack.images.kubernetes_versions import DEFAULT, SUPPORTED, KubernetesVersion, node_image
from devstack.images.upstream import Upstream, find_upstream


@dataclass(frozen=True)
class Image:
    """One image of the stack.

    Attributes:
        name: its name in the catalogue.
        reference: its name in manifests, whether it was pulled or built.
        about: one line of description.
        on_request: True if only an optional service that is off by default, or another version
            of Kubernetes than the default needs it, so that it is not among "all images".
    """

    name: str
    reference: str
    about: str
    on_request: bool = False

    @property
    def upstream(self) -> Upstream | None:
        """The published image that is pulled, or that it is built upon."""
        return find_upstream(self.name)

    @property
    def needs_cgroup_v2(self) -> bool:
        """True if the published image does not boot on cgroup v1; a built one does."""
        return self.upstream is not None and self.upstream.cgroup == "v2"


def _node(version: KubernetesVersion) -> Image:
    return Image(
        node_image(version.minor),
        f"devstack/node:v{version.minor}",
        f"a kind node with Kubernetes {version.minor} and the stack's own images inside",
        on_request=version.minor != DEFAULT,
    )


IMAGES = {
    image.name: image
    for image in (
        *(_node(version) for version in SUPPORTED.values()),
        Image(
            "minio",
            f"devstack/minio:{versions.MINIO}",
            "the S3 server",
        ),
        Image(
            "jobset",
            f"devstack/jobset:{versions.JOBSET}",
            "the JobSet controller",
        ),
        Image(
            "gang",
            f"devstack/gang:{versions.GANG}",
            "devstack's own gang controller",
        ),
        Image(
            "node-agent",
            f"devstack/node-agent:{versions.NODE_AGENT}",
            "devstack's own device plugin and instance metadata service",
        ),
        Image(
            "metrics-server",
            f"devstack/metrics-server:{versions.METRICS_SERVER}",
            "the metrics API",
        ),
        Image(
            "network-policies",
            f"devstack/network-policies:{versions.NETWORK_POLICIES}",
            "devstack's own enforcement of network policies",
        ),
        Image(
            "task",
            f"devstack/task:{versions.TASK_PYTHON}-{versions.TASK}",
            "the image of task pods: Python, boto3, requests and uv",
        ),
        Image(
            "postgres",
            f"devstack/postgres:{versions.POSTGRES}",
            "the database server",
        ),
        Image(
            "airflow",
            f"devstack/airflow:{versions.AIRFLOW}-{versions.AIRFLOW_RECIPE}",
            "Airflow: scheduler, web server, triggerer, Celery workers, Flower",
        ),
        Image(
            "metadata",
            f"devstack/metadata:{versions.METADATA}",
            "devstack's own metadata service",
        ),
        Image(
            "xcom",
            f"devstack/xcom:{versions.XCOM}",
            "the sidecar that passes a task's result to Airflow",
        ),
        Image(
            "registry",
            f"devstack/registry:{versions.REGISTRY}",
            "the registry for images that users push",
            on_request=True,
        ),
        Image(
            "argo",
            f"devstack/argo:{versions.ARGO}",
            "the controller and the server of Argo Workflows",
            on_request=True,
        ),
        Image(
            "argoexec",
            f"devstack/argoexec:{versions.ARGO}",
            "the executor of Argo Workflows, in each pod of a workflow",
            on_request=True,
        ),
        Image(
            "kubeflow",
            f"devstack/kubeflow:{versions.KUBEFLOW}",
            "devstack's own pipelines API, which runs pipelines of Kubeflow on Argo",
            on_request=True,
        ),
        Image(
            "argo-events",
            f"devstack/argo-events:{versions.ARGO_EVENTS}",
            "Argo Events: its controller, event sources and sensors",
            on_request=True,
        ),
        Image(
            "nats",
            f"devstack/nats:{versions.NATS}",
            "the event bus of Argo Events",
            on_request=True,
        ),
        Image(
            "rabbitmq",
            f"devstack/rabbitmq:{versions.RABBITMQ}",
            "the message broker of Airflow's Celery workers",
            on_request=True,
        ),
        Image(
            "redis",
            f"devstack/redis:{versions.REDIS}",
            "Redis, as another broker",
            on_request=True,
        ),
        Image(
            "git",
            f"devstack/git:{versions.GIT}",
            "a Git server, and git-sync for Airflow's DAG files",
            on_request=True,
        ),
    )
}

PRELOADED = (
    "minio",
    "jobset",
    "gang",
    "node-agent",
    "metrics-server",
    "network-policies",
    "task",
    "postgres",
    "metadata",
    "airflow",
    "xcom",
)
"""The images inside a built node image, which `up` therefore need not load."""


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
    """Return the images called ``names``; see :func:`find_image`.

    Args:
        names: by default all but those that are on request.
    """
    wanted = list(names)
    if not wanted:
        return [image for image in IMAGES.values() if not image.on_request]
    return [find_image(name) for name in wanted]
