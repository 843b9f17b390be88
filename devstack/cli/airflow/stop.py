"""``devstack airflow stop``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from devstack.cli.airflow.options import open_deployer
from devstack.cli.options import pass_output, stack_options
from devstack.cli.output import Output
from devstack.errors import ExitStatus
from devstack.schema import DagRun, dump


@click.command("stop", epilog="Example: devstack airflow stop airflow-0123456789ab")
@click.argument("run")
@stack_options
@pass_output
def command(output: Output, run: str, config_file: Path | None, **options: Any) -> int:
    """Stop RUN: its state becomes failed, and its pods are deleted.

    RUN is Airflow's run id, Metaflow's, or a DAG for its latest run. A run that has
    ended is left as it is.
    """
    deployer = open_deployer(config_file, **options)
    found = deployer.find_run(run)
    output.record(dump(DagRun, found))
    output.data(stopped=not found.finished)
    if found.finished:
        output.text(f"{found.dag_id}: {found.run_id} has ended: {found.state}")
    else:
        deployer.stop(found)
        output.text(f"{found.dag_id}: {found.run_id} is stopped")
    output.finish()
    return int(ExitStatus.OK)
