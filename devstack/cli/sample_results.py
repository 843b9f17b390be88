"""The table of the samples' results, and the report of those that failed."""

from __future__ import annotations

from collections.abc import Sequence

from devstack.cli.output import Output
from devstack.errors import DevstackError, ExitStatus
from devstack.flows.suite import SampleOutcome

FILE_WIDTH = 120
"""Columns of the table if it is not printed to a terminal."""


def show_table(
    output: Output,
    outcomes: Sequence[SampleOutcome],
    times: Sequence[str] = ("seconds", "pods", "Metaflow's own"),
) -> None:
    """Print the table of results; ``times`` are the headings of the columns of seconds."""
    if output.as_json:
        return
    from rich.table import Table

    table = Table("sample", "demonstrates", "result", box=None, pad_edge=False)
    for column in ("checks", *times):
        table.add_column(column, justify="right")
    for outcome in outcomes:
        colour = "green" if outcome.ok else "red"
        table.add_row(
            outcome.sample.name,
            outcome.sample.shows,
            f"[{colour}]{outcome.verdict}[/]",
            str(outcome.checked),
            *_times(outcome),
        )
    console = output.console()
    if not console.is_terminal:
        console.width = FILE_WIDTH
    output.text()
    console.print(table)


def raise_failures(
    output: Output, outcomes: Sequence[SampleOutcome], command: str = "devstack run"
) -> None:
    """Print the failed checks of each failed sample.

    Args:
        output: prints the report.
        outcomes: the results of the samples.
        command: the command that runs one of them again.

    Raises:
        DevstackError: ``SAMPLES_FAILED``, or a single sample's own error.
    """
    if len(outcomes) == 1 and outcomes[0].error:
        # On its own, a sample reports like a user's flow.
        raise outcomes[0].error
    failed = [outcome for outcome in outcomes if not outcome.ok]
    if not failed:
        return
    for outcome in failed:
        output.text(f"\n{outcome.sample.name}:")
        for wrong in outcome.wrong:
            output.text(f"  {wrong}")
        for line in outcome.error.output_tail if outcome.error else []:
            output.text(f"  | {line}")
    names = ", ".join(outcome.sample.name for outcome in failed)
    raise DevstackError(
        f"{len(failed)} of {len(outcomes)} samples failed: {names}",
        remedy=f"{command} {failed[0].sample.name}",
        code="SAMPLES_FAILED",
        exit_status=ExitStatus.FLOW_FAILED,
    )


def _times(outcome: SampleOutcome) -> tuple[str, str, str]:
    if outcome.result is None:
        return "", "", ""
    timing = outcome.result.timing
    return f"{timing.total:.1f}", f"{timing.running:.1f}", f"{timing.overhead:.1f}"
