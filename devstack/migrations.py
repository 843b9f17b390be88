"""Upgrades of a stack's state that an earlier release wrote.

Every change of meaning in :class:`devstack.state.StackState` gets a new
version and a function here that turns the version before into it. A setting
that is merely added needs none: its default is for stacks that lack it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

State = dict[str, Any]
"""The state as JSON has it."""


def _rename_prepared(state: State) -> State:
    """Version 0 is everything up to 2026-11, which wrote no version."""
    renamed = {key: value for key, value in state.items() if key != "prepared"}
    if "prepared" in state:
        renamed["initialized_services"] = state["prepared"]
    if state.get("phase") == "kept":
        renamed["phase"] = "retained"
    return renamed


def _set_up_minio_again(state: State) -> State:
    """Version 1 let flows use one bucket only; the next `up` gives their keys the new policy."""
    known = state.get("initialized_services", [])
    return {**state, "initialized_services": [name for name in known if name != "minio"]}


def _add_kubernetes(state: State) -> State:
    """Version 2 knew one version of Kubernetes."""
    return {"kubernetes": "1.36", **state}


def _add_mapped_ports(state: State) -> State:
    """Version 3 had no host ports but those that a cluster is created with, if it maps any.

    A cluster that maps ports has a port of its API among them.
    """
    ports = state.get("ports", {})
    return {"mapped_ports": sorted(ports) if "api" in ports else [], **state}


_MIGRATIONS: tuple[Callable[[State], State], ...] = (
    _rename_prepared,
    _set_up_minio_again,
    _add_kubernetes,
    _add_mapped_ports,
)
"""The function at index N turns version N into N + 1."""

STATE_VERSION = len(_MIGRATIONS)
"""The version that this devstack writes."""


def migrate(state: State, version: int) -> State:
    """Return ``state``, written as ``version``, as :data:`STATE_VERSION`."""
    for upgrade in _MIGRATIONS[version:]:
        state = upgrade(state)
    return {**state, "version": STATE_VERSION}
