"""``devstack images login`` and ``logout``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from devstack.cli.options import pass_output, stack_options
from devstack.cli.output import Output
from devstack.config import load


@click.command("login", epilog="Example: devstack images login registry.corp:5000")
@click.argument("registry", default="")
@stack_options
@pass_output
def login(output: Output, registry: str, config_file: Path | None, **chosen: Any) -> None:
    """Let task pods pull with this machine's login at REGISTRY, by default at all registries.

    The login is that of `docker login`, or of Docker's credential helpers. `up` renews it.
    """
    from devstack.lifecycle.registry_login import login as log_in
    from devstack.stack import open_stack

    stack = open_stack(load(config_file, **chosen), output.progress())
    registries = log_in(stack, registry)
    output.data(registries=registries, namespace=stack.state.namespace)
    output.text(f"Task pods are logged in to {', '.join(registries)}")
    output.finish()


@click.command("logout", epilog="Example: devstack images logout registry.corp:5000")
@click.argument("registry", default="")
@stack_options
@pass_output
def logout(output: Output, registry: str, config_file: Path | None, **chosen: Any) -> None:
    """Take the login at REGISTRY, by default all logins, away from task pods."""
    from devstack.lifecycle.registry_login import logout as log_out
    from devstack.stack import open_stack

    stack = open_stack(load(config_file, **chosen), output.progress())
    registries = log_out(stack, registry)
    output.data(registries=registries, namespace=stack.state.namespace)
    left = f"only to {', '.join(registries)}" if registries else "to no registry"
    output.text(f"Task pods are logged in {left}")
    output.finish()
