"""The room of a node, counted in slots: a resource that only these tests know of."""

from __future__ import annotations

import json

from tests.commandline import Devstack

SLOT = "devstack.dev/slot"


def give_slots(stack: Devstack, node: str, slots: int) -> None:
    """Let a node have so many slots in all, from one moment to the next.

    The kubelet keeps resources that it does not know of as somebody else's.

    Args:
        stack: the stack.
        node: the node's name.
        slots: how many pods that ask for one fit on it.
    """
    amount = {SLOT: str(slots)}
    body = json.dumps({"status": {"capacity": amount, "allocatable": amount}})
    where = ["node", node, "--subresource=status", "--type=merge"]
    stack.admin_kubectl("patch", *where, "--patch", body)
