"""Interrupt a spot node, as a cloud that takes the machine back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from devstack.errors import DevstackError, ExitStatus
from devstack.kube.client import Object
from devstack.kube.drain import cordon
from devstack.kube.interruption import (
    announce_interruption,
    end_pods,
    is_spot,
    withdraw_interruption,
)
from devstack.kube.offers import pool_of
from devstack.lifecycle.nodes import require_pools, require_worker
from devstack.stack import Stack

_NOTE_INTERVAL = 1.0


@dataclass(frozen=True)
class Interruption:
    """An interruption that has taken place.

    Attributes:
        node: the node's name.
        notice: the time that the notice named, in UTC.
        pods: the pods that ended when the node was stopped.
    """

    node: str
    notice: str
    pods: list[str]


def interrupt_node(stack: Stack, name: str, after: float) -> Interruption:
    """Give a node's pods the notice, wait, then end them and stop the node.

    Args:
        stack: a stack that is up.
        name: the node's name.
        after: seconds from the notice to the end; EC2 gives 120.

    Raises:
        DevstackError: ``NODE_UNKNOWN``, ``NODE_CONTROL_PLANE``, ``NODE_NOT_SPOT``,
            ``POOLS_UNSUPPORTED`` or ``STACK_DOWN``.
    """
    provider = require_pools(stack)
    node = require_worker(stack, name, "interrupt")
    if not is_spot(node):
        raise _not_spot(name, pool_of(node))
    kube, clock = stack.kube(), stack.clock
    end = clock.now() + after
    when = datetime.now(timezone.utc) + timedelta(seconds=after)
    notice = announce_interruption(kube, name, when)
    _wait_with_notice(stack, node, end)
    pods = end_pods(kube, name, clock=clock, note=stack.progress.note)
    provider.kill_node(name)
    return Interruption(name, notice, pods)


def _not_spot(name: str, pool: str) -> DevstackError:
    return DevstackError(
        f"cannot interrupt node {name!r}",
        cause="only spot instances get the notice of an interruption, and it is not one",
        remedy=f"add `spot = true` to its pool {pool!r}, then devstack up; or stop it without"
        f" notice: devstack node kill {name}",
        code="NODE_NOT_SPOT",
        exit_status=ExitStatus.USAGE,
    )


def _wait_with_notice(stack: Stack, node: Object, end: float) -> None:
    """Wait until the node is to end; if that is interrupted itself, take the notice back."""
    name, clock = node["metadata"]["name"], stack.clock
    try:
        while (left := end - clock.now()) > 0:
            stack.progress.note(f"{name} ends in {left:.0f} s, its pods have the notice")
            clock.sleep(min(_NOTE_INTERVAL, left))
    except BaseException:
        withdraw_interruption(stack.kube(), name)
        if node["spec"].get("unschedulable"):
            cordon(stack.kube(), name)
        raise
