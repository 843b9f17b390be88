"""Waiting for a cluster's API server."""

from __future__ import annotations

from collections.abc import Callable

from devstack.errors import DevstackError
from devstack.kube.client import KubeClient
from devstack.waits import Clock, Observation, Ready, Waiting, wait_until


def wait_for_api(
    kubeconfig: str,
    timeout: float,
    clock: Clock,
    note: Callable[[str], None] | None = None,
) -> None:
    """Wait until the API server in ``kubeconfig`` (YAML) is ready.

    Raises:
        DevstackError: ``WAIT_TIMEOUT`` after ``timeout`` seconds.
    """
    client = KubeClient.from_kubeconfig(kubeconfig)

    def observe() -> Observation:
        try:
            client.readyz()
        except DevstackError as error:
            return Waiting(str(error))
        return Ready()

    wait_until(
        observe,
        what="the Kubernetes API to respond",
        timeout=timeout,
        clock=clock,
        note=note,
        remedy="see `devstack logs --cluster`, or create it again: devstack down, devstack up",
    )
