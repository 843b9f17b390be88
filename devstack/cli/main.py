"""The ``devstack`` command.

Commands are imported only when they run, and their one-line helps are here, so that
``devstack --help`` is fast.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from typing import cast

import click

from devstack.cli.lazy import LazyGroup
from devstack.cli.options import json_option
from devstack.cli.output import Output
from devstack.cli.signals import install_signal_handlers
from devstack.cli.version import print_version
from devstack.errors import DevstackError, ExitStatus, disk_full

COMMANDS = {
    "up": "Create the stack, or reconcile it with its settings.",
    "down": "Remove the stack with everything that belongs to it.",
    "status": "Show what is running, and its URLs.",
    "run": "Run sample flows, or your own, on the stack.",
    "airflow": "Deploy flows as DAGs; trigger, follow and delete them.",
    "argo": "Deploy flows to Argo Workflows; trigger, follow and delete them.",
    "kubeflow": "Deploy flows to Kubeflow Pipelines; trigger, follow and delete them.",
    "why": "Explain why a workload, or a run of a DAG, does not run.",
    "logs": "Show the logs of a service, a pod or the cluster.",
    "env": "Print the environment variables for Metaflow, kubectl and S3 clients.",
    "shell": "Open a shell with these variables.",
    "kubectl": "Run kubectl with the stack's kubeconfig.",
    "node": "List the nodes, take them out of use, and back.",
    "pools": "Give the stack the nodes of another cluster.",
    "images": "List, pull, build, save and load the images.",
    "pvc": "Create, list and delete the volume claims that flows mount.",
    "paths": "Print where the Tiltfile, compose.yaml and other files are.",
    "doctor": "Diagnose problems and recommend what to do.",
    "completion": "Print the shell completion script.",
}


class RootGroup(LazyGroup):
    """The group of all commands."""

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; remove the display of its progress in any case."""
        try:
            return super().invoke(ctx)
        finally:
            # Now, because click prints a newline at Ctrl-C.
            ctx.obj.close_progress()


@click.command(
    cls=RootGroup,
    modules="devstack.cli.",
    helps=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with: devstack up && devstack run hello",
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    callback=print_version,
    help="Show the versions of devstack and of what it runs, and exit.",
)
@json_option
def cli() -> None:
    """A local Kubernetes stack on which Metaflow flows run end to end."""


def main() -> None:
    """Run the command line and exit with its status."""
    _open_closed_streams()
    install_signal_handlers()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal whose encoding lacks "✓" gets a "?", not an exception.
            stream.reconfigure(errors="replace")
    sys.exit(run(sys.argv[1:], Output()))


def _open_closed_streams() -> None:
    """Open the standard streams that the caller closed (``>&-``): their output is discarded.

    Otherwise the next file that is opened takes their place, and gets what is printed.
    """
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free descriptor: this one
            setattr(sys, name, os.fdopen(descriptor, mode, closefd=False))


def run(argv: Sequence[str], output: Output) -> int:
    """Run one command, report its error, and return the exit status."""
    try:
        status = cli.main(list(argv) or ["--help"], "devstack", obj=output, standalone_mode=False)
        sys.stdout.flush()
    except DevstackError as error:
        output.fail(error)
        return int(error.exit_status)
    except click.ClickException as usage:
        # click stops at some errors before it reads --json.
        output.as_json = output.as_json or "--json" in argv
        return _usage_error(output, usage)
    except (KeyboardInterrupt, click.Abort):
        _forget_interrupt()
        output.fail(_interrupted(output.command))
        return int(ExitStatus.INTERRUPTED)
    except BrokenPipeError:
        # The reader exited (`devstack logs | head`); at exit Python would write again.
        from devstack.cli.display import discard_output

        discard_output(sys.stdout)
        return int(ExitStatus.FAILED)
    except OSError as error:
        full = disk_full(error)
        if full is None:
            raise
        output.fail(full)
        return int(full.exit_status)
    return status if isinstance(status, int) else 0


def _usage_error(output: Output, usage: click.ClickException) -> int:
    context = getattr(usage, "ctx", None)
    called = context.command_path if context else "devstack"
    output.command = called.partition(" ")[2]
    usage = _with_closest_match(usage)
    if not output.as_json:
        usage.show()
        return int(ExitStatus.USAGE)
    wrong = DevstackError(
        usage.format_message(),
        remedy=f"{called} --help",
        code="USAGE",
        exit_status=ExitStatus.USAGE,
    )
    output.fail(wrong)
    return int(wrong.exit_status)


def _with_closest_match(usage: click.ClickException) -> click.ClickException:
    """Return the error with one suggestion: click makes up to three, in alphabetical order.

    Of a group whose commands are imported when called, click suggests none.
    """
    if isinstance(usage, click.NoSuchOption):
        closest = (usage.possibilities or [])[:1]
        return click.NoSuchOption(usage.option_name, usage.message, closest, usage.ctx)
    if isinstance(usage, click.exceptions.NoSuchCommand) and usage.ctx:
        import difflib

        known = cast("click.Group", usage.ctx.command).list_commands(usage.ctx)
        closest = difflib.get_close_matches(usage.command_name, known, n=1)
        name, message = usage.command_name, usage.message
        return click.exceptions.NoSuchCommand(name, message, closest, usage.ctx)
    return usage


def _interrupted(command: str) -> DevstackError:
    remedies = {
        "up": "`devstack up` continues; `devstack down` removes what exists",
        "down": "`devstack down` continues",
    }
    return DevstackError(
        f"{command or 'devstack'} was interrupted",
        remedy=remedies.get(command, ""),
        code="INTERRUPTED",
        exit_status=ExitStatus.INTERRUPTED,
    )


def _forget_interrupt() -> None:
    """Make this process exit with its own status, not by SIGINT.

    CPython records a KeyboardInterrupt that leaves code run by exec(), such as that of
    each dataclass, and kills itself by SIGINT at exit, even if the exception was handled
    since. Another exec() clears the record.
    """
    exec("")  # noqa: S102 - nothing is run


if __name__ == "__main__":
    main()
