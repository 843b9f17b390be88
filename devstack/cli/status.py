"""``devstack status``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from devstack.cli.options import name_flag, pass_output, stack_options
from devstack.cli.output import Output
from devstack.config import load
from devstack.errors import DevstackError, ExitStatus

NEXT = {"degraded": "doctor", "deleting": "down", "broken": "down"}
COLOURS = {"ready": "green", "up": "green", "waiting": "yellow", "degraded": "yellow"}


@click.command("status", epilog="Example: devstack status --json")
@click.option("--all", "every", is_flag=True, help="Show one line for each stack of this machine.")
@click.option("--secrets", is_flag=True, help="Also show the credentials.")
@stack_options
@pass_output
def command(
    output: Output, config_file: Path | None, every: bool, secrets: bool, **chosen: Any
) -> int:
    """Show what is running and its URLs; exit with 1 unless everything is ready."""
    from devstack.lifecycle.status import stack_status, status_by_name
    from devstack.stack import open_stack
    from devstack.state import stack_names

    if every:
        return _show_all(output, [status_by_name(name) for name in stack_names()])
    stack = open_stack(load(config_file, **chosen))
    status = stack_status(stack)
    output.record(status)
    _show(output, status)
    if secrets and stack.dir.exists():
        credentials = dict(stack.outputs().secrets)
        output.data(secrets=credentials)
        for name, value in credentials.items():
            output.text(f"  {name:<22} {value}")
    if status.healthy:
        output.finish()
        return int(ExitStatus.OK)
    if output.as_json:
        output.fail(_not_ready(status))
    return int(ExitStatus.FAILED)


def _not_ready(status: Any) -> DevstackError:
    """Return the envelope's error, so that its status agrees with the exit status."""
    return DevstackError(
        f"stack {status.name!r} is {status.state}",
        cause=status.detail,
        remedy=_next_command(status),
        code="STACK_DEGRADED" if status.state == "degraded" else "STACK_DOWN",
    )


def _next_command(status: Any) -> str:
    failed = [service.name for service in status.services if service.state != "ready"]
    if failed == ["autoscaler"]:
        return f"devstack up{name_flag(status.name)}"
    lost = [node.name for node in status.nodes if node.state == "NotReady"]
    if status.state == "degraded" and lost and not failed:
        return f"devstack node restore {lost[0]}{name_flag(status.name)}"
    return f"devstack {NEXT.get(status.state, 'up')}{name_flag(status.name)}"


def _show(output: Output, status: Any) -> None:
    provider = f" on {status.provider}" if status.provider else ""
    output.text(f"Stack {status.name!r}{provider}: {_coloured(status.state)}  {status.detail}")
    for service in status.services:
        detail = f"  {service.detail}" if service.detail else ""
        padding = " " * (7 - len(service.state)) if detail else ""
        output.text(f"  {service.name:<16} {_coloured(service.state)}{padding}{detail}")
    if status.urls:
        output.text()
    for name, url in status.urls.items():
        output.text(f"  {name:<16} {url}")
    _show_nodes(output, status)
    if not status.healthy:
        output.text(f"\nNext: {_next_command(status)}")


def _show_nodes(output: Output, status: Any) -> None:
    if not status.nodes:
        return
    from devstack.cli.node_table import describe_machine, node_lines, pool_lines

    for lines in (pool_lines(status.pools), node_lines(status.nodes)):
        output.text()
        for line in lines:
            output.text(f"  {line}")
    if status.machine:
        output.text(f"  {describe_machine(status.machine)}")


def _show_all(output: Output, found: list[Any]) -> int:
    output.data(stacks=found)
    for status in found:
        padding = " " * (11 - len(status.state))
        state = f"{_coloured(status.state)}{padding}"
        output.text(f"{status.name:<20} {status.provider:<9} {state}  {status.detail}".rstrip())
    if not found:
        output.text("There is no stack on this machine")
    output.finish()
    return int(ExitStatus.OK)


def _coloured(state: str) -> str:
    return click.style(state, fg=COLOURS.get(state, "red")) if sys.stdout.isatty() else state
