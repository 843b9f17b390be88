"""``devstack completion``."""

from __future__ import annotations

import click

from devstack.cli.options import SuggestingChoice, json_option, pass_output
from devstack.cli.output import Output


@click.command("completion", epilog='Example: eval "$(devstack completion bash)"')
@click.argument("shell", type=SuggestingChoice(["bash", "zsh", "fish"]))
@json_option
@pass_output
def command(output: Output, shell: str) -> None:
    """Print the script that completes commands and options."""
    from click.shell_completion import get_completion_class

    from devstack.cli.main import cli

    found = get_completion_class(shell)
    assert found is not None, "click has a class for each shell of the Choice"
    script = found(cli, {}, "devstack", "_DEVSTACK_COMPLETE").source()
    output.data(shell=shell, script=script)
    output.text(script)
    output.finish()
