# ruff: noqa: N999 - the name of the command
"""``devstack airflow variables import``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from devstack.cli.airflow.options import open_deployer
from devstack.cli.options import SuggestingChoice, pass_output, stack_options
from devstack.cli.output import Output
from devstack.cli.private_input import read_private
from devstack.errors import DevstackError, ExitStatus


@click.command("import", epilog="Example: devstack airflow variables import variables.json")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--existing",
    type=SuggestingChoice(["overwrite", "skip", "fail"]),
    default="overwrite",
    help="What to do with variables that exist: overwrite, skip or fail.  [default: overwrite]",
)
@stack_options
@pass_output
def command(
    output: Output, file: Path, existing: str, config_file: Path | None, **options: Any
) -> int:
    """Set the variables of FILE, an object of keys and values; - is standard input.

    The format is that of `airflow variables export`: values that are not text are
    stored as JSON.
    """
    from devstack.airflow.variables import list_variables, set_variable

    values = _values(read_private("File", file), file)
    client = open_deployer(config_file, **options).client
    known = {each.key for each in list_variables(client)} & set(values)
    if known and existing == "fail":
        raise DevstackError(
            "cannot import the variables",
            cause=f"Airflow has {', '.join(sorted(known))}",
            remedy="import them with --existing overwrite or --existing skip",
            code="VARIABLE_EXISTS",
        )
    skipped = sorted(known) if existing == "skip" else []
    imported = [key for key in values if key not in skipped]
    for key in imported:
        set_variable(client, key, values[key])
    output.data(imported=imported, skipped=skipped)
    skipped_text = f"; {len(skipped)} exist and are skipped" if skipped else ""
    output.text(f"{len(imported)} variables are set{skipped_text}")
    output.finish()
    return int(ExitStatus.OK)


def _values(text: str, file: Path) -> dict[str, str]:
    try:
        found = json.loads(text)
        cause = "" if isinstance(found, dict) else "it is not an object of keys and values"
    except ValueError as error:
        cause = f"it is not JSON: {error}"
    if cause:
        raise DevstackError(
            f"cannot import {file}",
            cause=cause,
            remedy='write it like {"region": "eu-west-1"}',
            code="VARIABLES_INVALID",
            exit_status=ExitStatus.USAGE,
        )
    return {
        key: value if isinstance(value, str) else json.dumps(value, indent=2)
        for key, value in found.items()
    }
