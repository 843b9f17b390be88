"""What the processes of a flow on this machine are doing, as far as their commands show it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

SHOWN_ARGUMENTS = 3
"""The number of arguments of a command that are shown."""


def describe_children(pid: int) -> list[str]:
    """Return what the innermost descendants of a process run, such as ``pip download x``.

    Args:
        pid: the flow's process.
    """
    import psutil

    try:
        children = psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []
    found: dict[str, None] = {}
    parents = set()
    for child in children:
        try:
            parents.add(child.ppid())
        except psutil.Error:
            continue
    for child in children:
        try:
            argv = child.cmdline()
        except psutil.Error:
            continue
        helper = any(each.endswith("sidecar_worker.py") for each in argv)  # Metaflow's heartbeat
        if argv and child.pid not in parents and not helper:
            found[_describe(argv)] = None
    return list(found)


def _describe(argv: Sequence[str]) -> str:
    """Return a command in short; that of a task by its step."""
    if "step" in argv and any(each.endswith(".py") for each in argv):
        position = len(argv) - 1 - list(reversed(argv)).index("step")
        name = " ".join(argv[position + 1 : position + 2])
        # `kubernetes step NAME` submits the step's pod, and follows it.
        place = "in a pod" if argv[position - 1] == "kubernetes" else "on this machine"
        return f"step {name} {place}"
    arguments = [each if len(each) < 40 else Path(each).name[:40] for each in argv[1:]]
    program = [Path(argv[0]).name, *arguments[:SHOWN_ARGUMENTS]]
    return f"`{' '.join(program)}`"
