"""Waiting for kube-proxy: until its rules exist, traffic to a Service leaves the cluster.

kind returns as soon as the node is up.  A pod that calls the API before kube-proxy has
installed its rules reaches another machine, or none: controllers exit, and the kubelet
puts their next start off.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from devstack.docker.client import DockerClient
from devstack.kube.client import KubeClient
from devstack.parallel import in_parallel
from devstack.waits import Clock, Observation, Ready, Waiting, wait_until


def wait_for_service_network(
    engine: DockerClient,
    nodes: Sequence[Any],
    kubeconfig: str,
    timeout: float,
    clock: Clock,
    note: Callable[[str], None] | None = None,
) -> None:
    """Wait until every node reaches the API at the address of its Service.

    Args:
        engine: runs the request inside the nodes.
        nodes: the node containers.
        kubeconfig: the administrator's, YAML.
        timeout: seconds.
        clock: measures the timeout.
        note: called with the reason for waiting.

    Raises:
        DevstackError: ``WAIT_TIMEOUT``.
    """
    client = KubeClient.from_kubeconfig(kubeconfig)
    in_parallel(
        lambda node: wait_until(
            partial(_observe, engine, node, client),
            what=f"kube-proxy on {node.name}",
            timeout=timeout,
            clock=clock,
            interval=0.1,
            note=note,
            remedy="see `devstack logs --cluster`",
        ),
        nodes,
    )


def _observe(engine: DockerClient, node: Any, client: KubeClient) -> Observation:
    service = client.find("v1", "Service", "kubernetes", "default")
    if service is None:
        return Waiting("the API server has not created its own Service yet")
    address = service["spec"]["clusterIP"]
    if engine.execute(node, api_request(address)):
        return Ready()
    return Waiting(f"kube-proxy on {node.name} does not route to {address} yet")


def api_request(address: str) -> list[str]:
    """Return the command that requests the API at ``address`` and verifies its certificate.

    Every node image has kubectl, and the kubelet's credentials.
    """
    return [
        "kubectl",
        "--kubeconfig=/etc/kubernetes/kubelet.conf",
        f"--server=https://{address}",
        # A connection begun before the rules exist is never redirected.
        "--request-timeout=1s",
        "get",
        "--raw=/version",
    ]
