"""What the commands of `devstack airflow` share."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from devstack.config import load

if TYPE_CHECKING:
    from devstack.deployers.airflow.connect import StackAirflow


def airflow_of(config_file: Path | None, **chosen: Any) -> StackAirflow:
    """Return the Airflow of the stack that the options name."""
    from devstack.deployers.airflow.connect import open_airflow
    from devstack.stack import open_stack

    return open_airflow(open_stack(load(config_file, **chosen)))


def complete_dags(
    context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[str]:
    """Return the DAGs whose ids begin so."""
    from devstack.airflow.dags import list_dags
    from devstack.errors import DevstackError

    try:
        airflow = airflow_of(None, name=context.params.get("name"))
        known = [dag.dag_id for dag in list_dags(airflow.client)]
    except DevstackError:
        return []
    return [dag_id for dag_id in known if dag_id.startswith(incomplete)]


def parse_parameters(
    _context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    """Turn ``--param NAME=VALUE`` options into a table."""
    parameters = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{value!r} is not NAME=VALUE")
        parameters[name] = text
    return parameters


def clock_time(seconds: float | None) -> str:
    """Return a time of day for a table; nothing where there is none."""
    return time.strftime("%m-%d %H:%M:%S", time.localtime(seconds)) if seconds else ""


def duration(seconds: float | None) -> str:
    """Return seconds for a table; nothing where there are none."""
    return f"{seconds:.1f}" if seconds is not None else ""
