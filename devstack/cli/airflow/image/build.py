"""``devstack airflow image build``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from devstack.cli.airflow.options import open_deployer
from devstack.cli.options import pass_output, stack_options
from devstack.cli.output import Output
from devstack.errors import ExitStatus


@click.command("build", epilog="Example: devstack airflow image build dags/")
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path))
@stack_options
@pass_output
def command(output: Output, folder: Path, config_file: Path | None, **options: Any) -> int:
    """Build an image with the DAG files in FOLDER, and run Airflow from it.

    Packages in FOLDER/requirements.txt are installed into it. A file that is not
    valid Python and a package that conflicts with Airflow's are reported before
    anything restarts; if Airflow does not become ready, it gets its former image.
    """
    from dataclasses import replace

    from devstack.lifecycle.airflow_image import build_image

    stack = open_deployer(config_file, **options).stack
    stack = replace(stack, progress=output.progress())
    built = build_image(stack, folder)
    output.data(image=built.reference, changed=built.changed)
    what = "Airflow runs from" if built.changed else "nothing has changed: Airflow runs from"
    output.text(f"{what} {built.reference}")
    output.finish()
    return int(ExitStatus.OK)
