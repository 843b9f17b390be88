"""Which nodes pods wait for: those that are not ready, cordoned, or not added yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from devstack.kube.capacity import fit
from devstack.kube.client import Object
from devstack.kube.offers import Offers, shortfall

SOON = "run this again in a moment"
_SHOWN = 3


@dataclass(frozen=True)
class Awaited:
    """What pods wait for that do not fit on the nodes that are ready, even without other tasks.

    Attributes:
        sentence: the nodes and their states.
        remedy: what to do.
    """

    sentence: str
    remedy: str


def find_awaited(pods: Sequence[Object], offers: Offers) -> Awaited | None:
    """Return which nodes pods wait for; None if other nodes do not help, or are not needed."""
    ready = [node for node in offers.nodes if node.name not in offers.later]
    if fit(pods, ready) == len(pods) or fit(pods, offers.nodes) < len(pods):
        return None
    names = [
        node.name
        for node in offers.nodes
        if node.name in offers.later and any(shortfall(pod, node).nothing for pod in pods)
    ]
    cordoned = [name for name in names if offers.is_cordoned(name)]
    by_itself = [node for node in offers.nodes if not offers.is_cordoned(node.name)]
    if fit(pods, by_itself) == len(pods):
        names, remedy = [name for name in names if name not in cordoned], SOON
    else:
        remedy = offers.uncordon_command(cordoned[0])
        names = cordoned
    shown = ", ".join(f"{name} ({offers.later[name]})" for name in names[:_SHOWN])
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return Awaited(f"{'It fits' if len(pods) == 1 else 'They fit'} with {shown}{more}", remedy)
