"""Removing containers and networks, also while another command removes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from typing import Any

from devstack.docker.cgroup import unfreeze
from devstack.waits import Observation, Ready, SystemClock, Waiting, wait_until

REMOVAL_TIMEOUT = 4.0
"""Seconds after which a frozen process is assumed to hold a container."""

DETACH_TIMEOUT = 20.0
"""Seconds that Docker has to finish a removal that another command began."""


def remove_containers(client: Any, containers: Iterable[Any], labels: Mapping[str, str]) -> None:
    """Remove containers, running or not, and their anonymous volumes.

    Args:
        client: the Docker SDK's client.
        containers: the containers.
        labels: labels of the container that unfreezes one, if that is necessary.
    """
    with ThreadPoolExecutor(max_workers=8) as pool:
        removals = {pool.submit(_remove, container): container for container in containers}
        _, late = wait(removals, timeout=REMOVAL_TIMEOUT)
        for removal in late:
            unfreeze(client, removals[removal], labels)
        for removal in removals:
            removal.result()


def remove_network(network: Any) -> None:
    """Remove a network as soon as no container is connected to it."""
    _wait(partial(_try_remove_network, network), f"the network {network.name} to be removed")


def _remove(container: Any) -> None:
    import docker

    try:
        container.remove(force=True, v=True)
    except docker.errors.NotFound:
        return
    except docker.errors.APIError as error:
        # Another `down` may be removing the same container right now.
        if error.status_code != 409:
            raise
        _wait(
            partial(_observe_removal, container),
            f"the container {container.name} to be removed",
        )


def _observe_removal(container: Any) -> Observation:
    import docker

    try:
        container.reload()
    except docker.errors.NotFound:
        return Ready()
    return Waiting(f"it is {container.status}")


def _try_remove_network(network: Any) -> Observation:
    """Try to remove a network, which Docker refuses while a container is connected."""
    import docker

    try:
        network.remove()
    except docker.errors.NotFound:
        return Ready()
    except docker.errors.APIError as error:
        if error.status_code != 403:
            raise
        return Waiting(error.explanation or str(error))
    return Ready()


def _wait(observe: Callable[[], Observation], what: str) -> None:
    remedy = "see `docker ps -a` and `docker network inspect`; then run the command again"
    wait_until(observe, what=what, timeout=DETACH_TIMEOUT, clock=SystemClock(), remedy=remedy)
