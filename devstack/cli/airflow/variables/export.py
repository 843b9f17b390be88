"""``devstack airflow variables export``."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from devstack.cli.airflow.options import open_deployer
from devstack.cli.options import pass_output, stack_options
from devstack.cli.output import Output
from devstack.errors import DevstackError, ExitStatus


@click.command("export", epilog="Example: devstack airflow variables export variables.json")
@click.argument("file", type=click.Path(path_type=Path))
@stack_options
@pass_output
def command(output: Output, file: Path, config_file: Path | None, **options: Any) -> int:
    """Write all variables to FILE, which only you can read: values may be secrets.

    The format is that of `airflow variables export`.
    """
    from devstack.airflow.variables import list_variables

    client = open_deployer(config_file, **options).client
    values = {each.key: _decoded(each.value) for each in list_variables(client)}
    text = json.dumps(values, indent=4, sort_keys=True) + "\n"
    try:
        _write_private(file, text)
    except OSError as error:
        raise DevstackError(
            f"cannot write {file}",
            cause=error.strerror or str(error),
            remedy="name another file",
            code="FILE_UNWRITABLE",
            exit_status=ExitStatus.USAGE,
        ) from error
    output.data(file=str(file), count=len(values))
    output.text(f"{len(values)} variables are in {file}")
    output.finish()
    return int(ExitStatus.OK)


def _write_private(file: Path, text: str) -> None:
    """Write a file that only its owner can read; one that exists stays until it is complete."""
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        with os.fdopen(os.open(unfinished, flags, 0o600), "w") as stream:
            stream.write(text)
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)


def _decoded(value: str) -> Any:
    """Return an object or a list as such, others as text: 1.10 must not become 1.1."""
    try:
        found = json.loads(value)
    except ValueError:
        return value
    return found if isinstance(found, (dict, list)) else value
