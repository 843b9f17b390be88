"""Slots on the cluster's own nodes, whose kubelets run the pods."""

from __future__ import annotations

from devstack.kube.client import Object
from tests.conformance.gang_cluster import SLOT
from tests.support.commandline import Devstack


class RealNodes:
    """The first node of the cluster, given slots; a :class:`Nodes`.

    Args:
        stack: the stack.
        node: the node's name.
        image: an image with a shell that the node has.
    """

    def __init__(self, stack: Devstack, node: str, image: str) -> None:
        self._stack = stack
        self._image = image
        self._node = node
        self._slots = 0

    def offer(self, slots: int) -> None:
        """Offer ``slots`` slots in all."""
        self._slots = slots
        self._stack.give_node(self._node, SLOT, slots)

    def add(self, slots: int) -> None:
        """Offer ``slots`` more."""
        self.offer(self._slots + slots)

    def pod(self, seconds: float, fails: bool) -> Object:
        """Return a pod that sleeps, and then ends well or not."""
        script = f"sleep {seconds}; exit {int(fails)}"
        resources = {"requests": {"cpu": "1m", SLOT: "1"}, "limits": {SLOT: "1"}}
        container = {
            "name": "task",
            "image": self._image,
            "imagePullPolicy": "IfNotPresent",
            "command": ["sh", "-c", script],
            "resources": resources,
        }
        spec = {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "containers": [container],
        }
        return {"metadata": {}, "spec": spec}
