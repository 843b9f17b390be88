"""``devstack airflow backfill``."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from devstack.cli.airflow.options import complete_dags, open_deployer
from devstack.cli.deployments import parameters_option, require_wait, wait_timeout_option
from devstack.cli.options import pass_output, stack_options
from devstack.cli.output import Output
from devstack.errors import ExitStatus

if TYPE_CHECKING:
    from devstack.deployers.airflow.backfill import Backfill


def _parse_date(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> datetime | None:
    from devstack.deployers.airflow.backfill import parse_date

    try:
        return parse_date(value) if value else None
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is neither a date like 2026-11-01 nor a time like 2026-11-01T06:00"
        ) from None


def _parse_date_parameters(
    _context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    from devstack.deployers.airflow.backfill import DATE_KINDS

    found = {}
    for value in values:
        name, equals, kind = value.partition("=")
        if not name or (equals and kind not in DATE_KINDS):
            raise click.BadParameter(f"{value!r} is neither NAME, NAME=ds nor NAME=ts")
        found[name] = kind or DATE_KINDS[0]
    return found


@click.command(
    "backfill",
    epilog="Example: devstack airflow backfill MyFlow --start 2026-11-01 --end 2026-11-03 --wait",
)
@click.argument("dag", shell_complete=complete_dags)
@click.option(
    "--start", required=True, metavar="DATE", callback=_parse_date, help="First logical date; UTC."
)
@click.option(
    "--end",
    required=True,
    metavar="DATE",
    callback=_parse_date,
    help="Last logical date, inclusive.",
)
@parameters_option("A parameter of the flow for all runs; may be repeated.")
@click.option(
    "--date-param",
    "date_parameters",
    multiple=True,
    metavar="NAME[=ds|ts]",
    callback=_parse_date_parameters,
    help="A parameter that gets each run's date (ds), or date and time (ts).",
)
@click.option("--rerun-failed", is_flag=True, help="Run the failed tasks of failed runs again.")
@click.option("--dry-run", is_flag=True, help="Only list the dates.")
@click.option("--wait", is_flag=True, help="Wait until the runs end; status 5 if one fails.")
@click.option("--unpause", is_flag=True, help="Unpause the DAG first; its schedule continues too.")
@wait_timeout_option
@stack_options
@pass_output
def command(
    output: Output,
    dag: str,
    start: datetime,
    end: datetime,
    parameters: dict[str, str],
    date_parameters: dict[str, str],
    rerun_failed: bool,
    dry_run: bool,
    wait: bool,
    unpause: bool,
    timeout: float | None,
    config_file: Path | None,
    **options: Any,
) -> int:
    """Run DAG for each date of its schedule from --start to --end.

    Dates that have a run are skipped. As many runs as the DAG allows
    (max_active_runs) are active at once, on the stack's own executor.
    """
    require_wait(wait, timeout)
    from devstack.deployers.airflow.backfill import (
        BackfillOptions,
        backfill_dag,
        follow_backfill,
    )

    deployer = open_deployer(config_file, **options)
    dag_id = deployer.resolve(dag)
    if unpause and not dry_run:
        deployer.set_paused(dag_id, False)
    asked = BackfillOptions(start, end, parameters, date_parameters, rerun_failed, dry_run)
    made = backfill_dag(deployer.stack, deployer.client, dag_id, asked)
    output.record(made)
    _show(output, made, dry_run)
    if wait and made.active and not dry_run:
        note = output.progress().note
        ended = follow_backfill(deployer.stack, deployer.client, made, note, timeout)
        output.close_progress()
        output.record(ended)
        output.text(f"{len(ended.active)} runs succeeded")
    output.finish()
    return int(ExitStatus.OK)


def _show(output: Output, made: Backfill, dry_run: bool) -> None:
    words = {"skip": "has a run", "rerun": "runs its failed tasks again"}
    words["create"] = "would be run" if dry_run else "is queued"
    for run in made.runs:
        state = f" ({run.state})" if run.action == "skip" else ""
        output.text(f"{run.logical_date}  {words[run.action]}{state}  {run.dag_run_id}".rstrip())
    if made.not_due:
        output.warn(f"{made.not_due} and later dates are not due yet; the schedule will run them")
    if not made.runs:
        output.text("the schedule has no date in this period")
