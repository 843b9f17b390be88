"""``devstack airflow scale``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from devstack.cli.airflow.options import select_installation
from devstack.cli.options import pass_output, stack_options, timeout_option
from devstack.cli.output import Output
from devstack.errors import ExitStatus


class Workers(click.ParamType[Any]):
    """A number of workers, or the least and the most of them as MIN:MAX."""

    name = "N"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | dict[str, int]:
        """Return the value of the setting ``workers``."""
        from devstack.airflow_settings import workers_problem

        parts = str(value).split(":")
        if len(parts) > 2 or not all(part.isdecimal() for part in parts):
            self.fail(f"{value!r} is neither a number of workers nor MIN:MAX", param, ctx)
        numbers = [int(part) for part in parts]
        workers = numbers[0] if len(numbers) == 1 else {"min": numbers[0], "max": numbers[1]}
        if problem := workers_problem(workers):
            self.fail(f"{value!r} {problem}", param, ctx)
        return workers


@click.command("scale", epilog="Example: devstack airflow scale 3")
@click.argument("workers", type=Workers(), metavar="N|MIN:MAX")
@timeout_option
@stack_options
@pass_output
def command(
    output: Output, workers: int | dict[str, int], config_file: Path | None, **options: Any
) -> int:
    """Set the number of Celery workers, at most 20; MIN:MAX lets it follow the queue.

    A worker that is removed takes no more tasks, and ends when its own have ended; the command
    does not wait for it. The number is remembered; a setting `workers` in devstack.toml applies
    again at the next `up`.
    """
    from devstack.config import load
    from devstack.lifecycle.worker_scale import scale_workers
    from devstack.stack import open_stack

    stack = select_installation(open_stack(load(config_file, **options), output.progress()))
    before = scale_workers(stack, workers)
    output.data(workers=workers, before=before)
    output.text(f"Celery workers: {before} -> {workers}")
    output.finish()
    return int(ExitStatus.OK)
