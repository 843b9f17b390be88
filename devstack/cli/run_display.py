"""How `devstack run` shows flows under way, and the samples' results."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from devstack.cli.output import Output
from devstack.errors import DevstackError, ExitStatus
from devstack.flows.suite import Reporter, SampleOutcome
from devstack.samples.catalogue import Sample

if TYPE_CHECKING:
    from rich.table import Table

FILE_WIDTH = 120
"""Columns of the table where it does not go to a terminal."""

QUIET_SECONDS = 15.0
"""Without a terminal, a note is printed at most this often for each sample."""


class Display(Reporter, AbstractContextManager["Display"]):
    """Shows samples under way; this one shows nothing, for ``--json``."""

    def started(self, sample: Sample) -> None:
        """Ignore it."""

    def line(self, sample: Sample, text: str) -> None:
        """Ignore it."""

    def note(self, sample: Sample, text: str) -> None:
        """Ignore it."""

    def ended(self, outcome: SampleOutcome) -> None:
        """Ignore it."""

    def __exit__(self, *_exception: object) -> None:
        """Stop showing."""


def choose_audience(output: Output, samples: Sequence[Sample]) -> Display:
    """Return the display that fits: nothing, the flow's own lines, a live board, plain lines."""
    if output.as_json:
        return Display()
    if len(samples) == 1:
        return SingleRun(output)
    if output.verbose or not sys.stderr.isatty():
        return Lines(output.verbose)
    return RunTable(samples)


class StatusLine(AbstractContextManager["StatusLine"]):
    """The lines of one flow on standard output; what its pods do, on the terminal's last line.

    Args:
        output: tells whether to be silent.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self._note = ""
        self._status: Any = None
        if not output.as_json and sys.stderr.isatty() and sys.stdout.isatty():
            from rich.console import Console

            self._console = Console(highlight=False, soft_wrap=True)
            self._status = self._console.status("starting")
            self._status.start()

    def line(self, text: str) -> None:
        """Print a line of the flow."""
        if self._status is None:
            self._output.text(text)
        else:
            self._console.print(text, markup=False)

    def note(self, text: str) -> None:
        """Show what the run does now."""
        if text == self._note:
            return
        self._note = text
        if self._status is not None:
            from rich.markup import escape

            self._status.update(f"[dim]{escape(text)}[/]")
        elif not self._output.as_json:
            sys.stderr.write(f"    {text}\n")

    def __exit__(self, *_exception: object) -> None:
        """Take the last line away."""
        if self._status is not None:
            self._status.stop()


class SingleRun(Display):
    """One sample: its flow's own lines, as for a flow of the user's."""

    def __init__(self, output: Output) -> None:
        self._status = StatusLine(output)

    def line(self, sample: Sample, text: str) -> None:
        """Print the line."""
        self._status.line(text)

    def note(self, sample: Sample, text: str) -> None:
        """Show the note."""
        self._status.note(text)

    def __exit__(self, *_exception: object) -> None:
        """Take the last line away."""
        self._status.__exit__()


class Lines(Display):
    """A line when a sample starts and one when it ends; now and then what goes on.

    Args:
        verbose: print every line of every flow, too.
    """

    def __init__(self, verbose: bool) -> None:
        self._verbose = verbose
        self._spoke: dict[str, float] = {}

    def started(self, sample: Sample) -> None:
        """Say that it starts."""
        self._spoke[sample.name] = time.monotonic()
        _say(f"  > {sample.name}")

    def line(self, sample: Sample, text: str) -> None:
        """Print the line, if every line is wanted."""
        if self._verbose:
            _say(f"    {sample.name}: {text}")

    def note(self, sample: Sample, text: str) -> None:
        """Print what it does, unless something was said a moment ago."""
        now = time.monotonic()
        if now - self._spoke[sample.name] >= QUIET_SECONDS:
            self._spoke[sample.name] = now
            _say(f"    {sample.name}: {text}")

    def ended(self, outcome: SampleOutcome) -> None:
        """Say how it ended."""
        mark = "✓" if outcome.ok else "✗"
        _say(f"  {mark} {outcome.sample.name:<12} {outcome.verdict:<20} {outcome.seconds:6.1f} s")


class RunTable(Display):
    """A row for each sample that redraws itself, on a terminal.

    Args:
        samples: all that will run.
    """

    def __init__(self, samples: Sequence[Sample]) -> None:
        from rich.console import Console
        from rich.live import Live

        self._lock = threading.Lock()
        self._samples = samples
        self._began: dict[str, float] = {}
        self._notes: dict[str, str] = {}
        self._outcomes: dict[str, SampleOutcome] = {}
        self._live = Live(
            get_renderable=self._draw,
            console=Console(stderr=True, highlight=False),
            refresh_per_second=4,
            transient=True,
        )
        self._live.start()

    def started(self, sample: Sample) -> None:
        """Start its clock."""
        with self._lock:
            self._began[sample.name] = time.monotonic()
            self._notes[sample.name] = "starting Metaflow"

    def note(self, sample: Sample, text: str) -> None:
        """Show what it does now."""
        with self._lock:
            self._notes[sample.name] = text

    def ended(self, outcome: SampleOutcome) -> None:
        """Show how it ended."""
        with self._lock:
            self._outcomes[outcome.sample.name] = outcome

    def __exit__(self, *_exception: object) -> None:
        """Take the board away."""
        self._live.stop()

    def _draw(self) -> Table:
        from rich.table import Table

        table = Table.grid(padding=(0, 2))
        for width in (1, 12, 9):
            table.add_column(min_width=width, no_wrap=True)
        table.add_column(no_wrap=True, overflow="ellipsis", style="dim")
        with self._lock:
            for sample in self._samples:
                table.add_row(*self._row(sample))
        return table

    def _row(self, sample: Sample) -> tuple[str, str, str, str]:
        outcome = self._outcomes.get(sample.name)
        if outcome:
            mark = "[green]✓[/]" if outcome.ok else "[red]✗[/]"
            return mark, sample.name, f"{outcome.seconds:6.1f} s", outcome.verdict
        if sample.name not in self._began:
            return "[dim]·[/]", f"[dim]{sample.name}[/]", "", "waiting for its turn"
        seconds = time.monotonic() - self._began[sample.name]
        return "[cyan]>[/]", sample.name, f"{seconds:6.1f} s", _escape(self._notes[sample.name])


def show_table(
    output: Output,
    outcomes: Sequence[SampleOutcome],
    times: Sequence[str] = ("seconds", "pods", "Metaflow's own"),
) -> None:
    """Print the table of the samples' results; ``times`` heads the columns of seconds."""
    if output.as_json:
        return
    from rich.table import Table

    table = Table("sample", "what it shows", "result", box=None, pad_edge=False)
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
    """Print what was wrong with each sample that failed.

    Args:
        output: where to print.
        outcomes: how the samples ended.
        command: what runs one of them again.

    Raises:
        DevstackError: ``SAMPLES_FAILED``, or a single sample's own error.
    """
    if len(outcomes) == 1 and outcomes[0].error:
        # On its own, a sample shows what a flow of the user's would show.
        raise outcomes[0].error
    failed = [outcome for outcome in outcomes if not outcome.ok]
    if not failed:
        return
    for outcome in failed:
        output.text(f"\n{outcome.sample.name}:")
        for wrong in outcome.wrong:
            output.text(f"  {wrong}")
        for line in outcome.error.output_tail() if outcome.error else []:
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


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)
