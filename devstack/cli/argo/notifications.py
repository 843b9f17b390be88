"""Options of Metaflow's `argo-workflows create` that `devstack argo deploy` explains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from devstack.cli.passthrough_args import PASSTHROUGH_ARGS
from devstack.errors import DevstackError, ExitStatus

Command = TypeVar("Command", bound=Callable[..., int])

FLAGS = ("--notify-on-error", "--notify-on-success")
VALUES = (
    "--notify-slack-webhook-url",
    "--notify-pager-duty-integration-key",
    "--notify-incident-io-api-key",
    "--incident-io-alert-source-config-id",
    "--incident-io-metadata",
)


def notification_options(command: Command) -> Command:
    """Add the options for notifications, which the help does not show."""
    for name in FLAGS:
        command = click.option(name, is_flag=True, hidden=True)(command)
    for name in VALUES:
        command = click.option(name, multiple=True, hidden=True)(command)
    return command


def refuse_notifications(chosen: Mapping[str, Any]) -> None:
    """Refuse the options above, also after `--`.

    Args:
        chosen: the values of the command's options by name.

    Raises:
        DevstackError: ``NOTIFICATIONS_UNSUPPORTED``.
    """
    from devstack.deployers.argo.notifications import INSTEAD, OPTIONS, REASON

    passed = click.get_current_context().meta.get(PASSTHROUGH_ARGS, [])
    words = {word.partition("=")[0] for word in passed}
    for option in OPTIONS:
        if chosen[option.removeprefix("--").replace("-", "_")] or option in words:
            raise DevstackError(
                f"cannot deploy with {option}",
                cause=REASON,
                remedy=INSTEAD,
                code="NOTIFICATIONS_UNSUPPORTED",
                exit_status=ExitStatus.USAGE,
            )
