"""What checks of Argo's samples read from the nodes of a workflow."""

from __future__ import annotations

from typing import Any

HEARTBEAT = "heartbeat-daemon"
"""Metaflow's template for the pod that reports that a run is alive."""

HOOKS = ("error-msg-capture-hook",)
"""Metaflow's templates that run after the last step."""


def steps_of(nodes: list[dict[str, Any]]) -> list[str]:
    """Return the steps of the nodes that are tasks of the flow, sorted by name.

    Argo's names have no underscores; a step that is part of a loop has another template, whose
    name starts with ``recursive-``.
    """
    names = (node["step"].removeprefix("recursive-") for node in nodes)
    return sorted(name for name in names if name not in (HEARTBEAT, *HOOKS))


def states_of(nodes: list[dict[str, Any]]) -> set[str]:
    """Return the states of the nodes that are tasks of the flow."""
    return {node["state"] for node in nodes if node["step"] not in (HEARTBEAT, *HOOKS)}
