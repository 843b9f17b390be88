"""``devstack up``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from devstack.cli.engines import engine_option
from devstack.cli.mirrors import mirror_option
from devstack.cli.options import (
    SuggestingChoice,
    config_option,
    json_option,
    name_flag,
    name_option,
    none_if_empty,
    parse_pools,
    parse_ports,
    pass_output,
    timeout_option,
    verbose_option,
)
from devstack.cli.output import Output
from devstack.config import IMAGE_SOURCES, load
from devstack.images.kubernetes_versions import DEFAULT as DEFAULT_KUBERNETES
from devstack.images.kubernetes_versions import SUPPORTED
from devstack.providers.choose import CHOICES, DEFAULT, require_known
from devstack.services import SERVICES
from devstack.services.selection import optional_names

OPTIONAL = optional_names(SERVICES)


def _complete_services(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[str]:
    return [name for name in OPTIONAL if name.startswith(incomplete)]


class ProviderChoice(click.Choice[str]):
    """The registered providers; an unknown one is an error with the closest match."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the value, if there is such a provider."""
        require_known(value)
        return str(value)


@click.command("up", epilog="Example: devstack up --name ci --timeout 600")
@name_option
@click.option(
    "--provider",
    type=ProviderChoice(CHOICES),
    help=f"The provider of the cluster; auto is {DEFAULT}, or context with --context.",
)
@click.option("--context", metavar="CONTEXT", help="Use the cluster of this kubeconfig context.")
@click.option("--namespace", metavar="NS", help="Namespace of task pods; at most 14 characters.")
@click.option(
    "--kubernetes",
    metavar="MINOR",
    shell_complete=lambda _context, _parameter, text: [
        minor for minor in SUPPORTED if minor.startswith(text)
    ],
    help=f"Version of Kubernetes: {', '.join(SUPPORTED)}.  [default: {DEFAULT_KUBERNETES}]",
)
@engine_option
@click.option("--nodes", type=int, metavar="N", help="Number of nodes.  [default: 1]")
@click.option(
    "--pool",
    multiple=True,
    metavar="KEY=VALUE,...",
    callback=parse_pools,
    help="A pool of nodes of any size: name=gpu,count=2,instance_type=p3.8xlarge. Repeatable.",
)
@click.option("--images", type=SuggestingChoice(IMAGE_SOURCES), help="The source of images.")
@mirror_option
@click.option(
    "--port",
    "ports",
    multiple=True,
    metavar="NAME=PORT",
    callback=parse_ports,
    help="A host port, such as minio=9000; by default a free one.",
)
@click.option(
    "--without",
    multiple=True,
    metavar="SERVICE",
    callback=none_if_empty,
    shell_complete=_complete_services,
    help=f"Leave out a service ({', '.join(OPTIONAL)}); remembered. Repeatable.",
)
@click.option(
    "--with",
    "included",
    multiple=True,
    metavar="SERVICE",
    callback=none_if_empty,
    shell_complete=_complete_services,
    help="Include a service that was left out, and what it needs.",
)
@click.option("--offline", is_flag=True, default=None, help="Download nothing.")
@click.option("--dry-run", is_flag=True, help="Print what would be done, and do nothing.")
@timeout_option
@config_option
@json_option
@verbose_option
@pass_output
def command(output: Output, config_file: Path | None, dry_run: bool, **chosen: Any) -> None:
    """Create the stack, or reconcile it with its settings.

    A second run changes nothing; after an interruption, a run continues from there.
    """
    from devstack.doctor.machine import memory_warnings
    from devstack.doctor.stack import policies_warnings
    from devstack.lifecycle.setting_files import read_setting_files
    from devstack.lifecycle.step import pending_steps
    from devstack.lifecycle.up import build_steps, up
    from devstack.stack import open_stack

    began = time.monotonic()
    stack = open_stack(load(config_file, **chosen), output.progress())
    if dry_run:
        read_setting_files(stack)
        _show_plan(output, pending_steps(build_steps(stack)))
        return
    for finding in memory_warnings(stack):
        output.warn(f"{finding.cause} [{finding.code}]; {finding.remedy}")
    changed = up(stack)
    for finding in policies_warnings(stack):
        output.warn(f"{finding.cause} [{finding.code}]; {finding.remedy}")
    seconds = round(time.monotonic() - began, 2)
    output.data(name=stack.spec.name, provider=stack.provider.name)
    output.data(changed=changed, seconds=seconds)
    _show_result(output, stack, changed, seconds)
    output.finish()


def _show_plan(output: Output, steps: list[Any]) -> None:
    rows: list[dict[str, Any]] = []
    if not steps:
        output.text("Nothing to do")
    for step in steps:
        commands = step.commands()
        rows.append({"name": step.name, "title": step.title, "commands": commands})
        output.text(f"{step.title}:" if commands else step.title)
        for line in commands:
            output.text(f"    {line}")
    output.data(steps=rows)
    output.finish()


def _show_result(output: Output, stack: Any, changed: list[str], seconds: float) -> None:
    urls = dict(stack.outputs().urls)
    output.data(urls=urls)
    verb = "is up" if changed else "was up already; nothing changed"
    output.text(f"\nStack {stack.spec.name!r} {verb} ({seconds:.1f} s)")
    for name, url in urls.items():
        output.text(f"  {name:<16} {url}")
    suffix = name_flag(stack.spec.name)
    output.text("\nNext:")
    output.text(f"  devstack run hello{suffix:<18}  run a sample flow")
    output.text(f"  devstack shell{suffix:<22}  work with Metaflow and kubectl on the stack")
