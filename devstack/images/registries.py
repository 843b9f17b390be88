"""Pulling images from registries."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request

from devstack.docker.client import DockerClient
from devstack.errors import DevstackError
from devstack.images.catalogue import Image
from devstack.images.certificates import private_bundle
from devstack.images.recipes import airflow, task
from devstack.progress import Progress, step

PROBE_TIMEOUT = 4.0
PULL_TIMEOUT = 900.0
API_HOSTS = {"docker.io": "registry-1.docker.io"}
"""The API hosts of registries, where they differ from the name in references."""
REACHED = (200, 401)
"""The statuses with which registries respond to a client that has not logged in."""
BUILT_UPON = {
    "task": (task.dockerfile, task.LOCK.parent),
    "airflow": (airflow.dockerfile, airflow.AIRFLOW),
}
"""Images that are built upon the pulled one: their Dockerfile and the folder of its files."""


def is_reachable(reference: str, timeout: float = PROBE_TIMEOUT) -> bool:
    """Return True if the registry of ``reference`` responds.

    Args:
        reference: an image with its registry's name.
        timeout: seconds.
    """
    registry = reference.partition("/")[0]
    url = f"https://{API_HOSTS.get(registry, registry)}/v2/"
    context = ssl.create_default_context(cafile=private_bundle())
    try:
        with urllib.request.urlopen(url, timeout=timeout, context=context) as response:
            return response.status in REACHED
    except urllib.error.HTTPError as error:
        return error.code in REACHED
    except (OSError, ValueError):
        return False


def pull(docker: DockerClient, image: Image, key: str, progress: Progress) -> None:
    """Pull an image and tag it with its name in the stack.

    Args:
        docker: the engine.
        image: what to pull.
        key: the digest for the label of an image that is built upon the pulled one.
        progress: reports what Docker does.

    Raises:
        DevstackError: ``IMAGE_UNAVAILABLE``.
    """
    with step(progress, f"Pull {image.upstream}"):
        try:
            docker.pull(image.upstream, progress, PULL_TIMEOUT)
            if image.name in BUILT_UPON:
                dockerfile, files = BUILT_UPON[image.name]
                text = dockerfile(image.upstream, key)
                docker.build(text, image.reference, files, progress)
            else:
                docker.tag(image.upstream, image.reference)
        except DevstackError as error:
            raise unavailable(image, str(error), error.output) from error


def unavailable(image: Image, cause: str, output: str = "") -> DevstackError:
    """Return the error for an image that cannot be pulled."""
    return DevstackError(
        f"cannot pull the image {image.upstream}",
        cause=cause,
        remedy="build it from packages (--images build, or `devstack images build`), or bring "
        "a bundle: devstack images load FILE",
        code="IMAGE_UNAVAILABLE",
        output=output,
    )
