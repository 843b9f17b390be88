"""``devstack airflow volume copy``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from devstack.cli.airflow.options import open_deployer
from devstack.cli.options import pass_output, stack_options
from devstack.cli.output import Output
from devstack.errors import ExitStatus


@click.command("copy", epilog="Example: devstack airflow volume copy dags/ --delete")
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path))
@click.option("--delete", is_flag=True, help="Delete all other files from the volume.")
@stack_options
@pass_output
def command(
    output: Output, folder: Path, delete: bool, config_file: Path | None, **options: Any
) -> int:
    """Copy the files in FOLDER to the volume; Airflow finds them within seconds.

    Each file replaces its predecessor as a whole. Files of tools, such as .git and
    __pycache__, are left out.
    """
    from devstack.deployers.airflow.volume import copy_to_volume

    copied = copy_to_volume(open_deployer(config_file, **options).stack, folder, delete=delete)
    output.data(written=copied.written, deleted=copied.deleted)
    output.text(f"{len(copied.written)} files are copied, {len(copied.deleted)} deleted")
    output.finish()
    return int(ExitStatus.OK)
