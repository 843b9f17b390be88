"""The live display of a command's progress on a terminal, drawn by rich."""

from __future__ import annotations

import sys
import time

from rich.console import Console, RenderableType
from rich.progress import Progress as Rows
from rich.progress import ProgressColumn, SpinnerColumn, Task, TaskID
from rich.table import Column
from rich.text import Text

from devstack.cli.display import TITLE_WIDTH, StepStack, write_line

STYLES = {"failed": "red", "done": "green"}
BRANCH_TITLE_WIDTH = 12


class LiveDisplay:
    """A row for what is running, with its time and latest note; ended steps stay above.

    Args:
        rows: where the row of a branch is drawn, below those of the others; None for
            the command itself.
        title: what runs in a branch.
    """

    def __init__(self, rows: Rows | None = None, title: str = "") -> None:
        self._rows = rows or _build_rows()
        self._is_branch = bool(title)
        self._steps = StepStack()
        self._row: TaskID | None = None
        self._noted_at: float | None = None
        if self._is_branch:
            _title_column(self._rows).min_width = BRANCH_TITLE_WIDTH
            self._draw(title, None, "waiting")

    def start(self, title: str) -> None:
        """Draw the row of the step."""
        self._steps.begin(title)
        self.note("")

    def note(self, text: str) -> None:
        """Draw the note after the step's title, or instead of one outside of any step."""
        step = self._steps.innermost
        if step:
            self._draw(step.title, step.began, text)
        else:
            self._noted_at = self._noted_at or time.monotonic()
            self._draw(text, self._noted_at, "")

    def line(self, text: str) -> None:
        """Print the line of a flow above the rows, or to a file; drop that of a branch."""
        if self._is_branch:
            return
        if sys.stdout.isatty():
            self._print(text)
        else:
            write_line(sys.stdout, text)

    def done(self, title: str, state: str = "done") -> None:
        """Print the ended step above the rows; draw the step that contains it."""
        line = self._steps.end(title, state)
        if self._steps.innermost is None and self._row is not None:
            self._rows.remove_task(self._row)
            self._row = None
        if not self._rows.tasks:
            self.close()
        self._print(line, STYLES.get(state, "dim"))
        if self._steps.innermost:
            self.note("")

    def warn(self, text: str) -> None:
        """Print the warning above the rows."""
        self._print(f"  ! {text}", "yellow")

    def branch(self, title: str) -> LiveDisplay:
        """Return a display with a row of its own."""
        return LiveDisplay(self._rows, title)

    def close(self) -> None:
        """Remove the rows from the terminal."""
        self._rows.stop()

    def _draw(self, title: str, began: float | None, note: str) -> None:
        if self._row is None:
            self._row = self._rows.add_task(title, total=None, began=began, note=note)
        else:
            self._rows.update(self._row, description=title, began=began, note=note)
        self._rows.start()

    def _print(self, text: str, style: str = "") -> None:
        self._rows.console.print(Text(text, style=style), soft_wrap=True)


class _SpinnerColumn(SpinnerColumn):
    def render(self, task: Task) -> RenderableType:
        waiting = task.fields["began"] is None
        return Text("·", style="dim") if waiting else super().render(task)


class _TitleColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(task.description, style="dim" if task.fields["began"] is None else "")


class _SecondsColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        began = task.fields["began"]
        return Text("" if began is None else f"{time.monotonic() - began:6.1f} s")


class _NoteColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(task.fields["note"], style="dim", no_wrap=True, overflow="ellipsis")


def _build_rows() -> Rows:
    return Rows(
        _SpinnerColumn(style="cyan", table_column=Column(width=3, justify="right")),
        _TitleColumn(Column(no_wrap=True, min_width=TITLE_WIDTH, overflow="ellipsis")),
        _SecondsColumn(Column(no_wrap=True, width=8)),
        # The only column that rich may shrink: it shrinks all if none can wrap.
        _NoteColumn(Column()),
        console=Console(stderr=True, highlight=False),
        refresh_per_second=8,
        transient=True,
        # devstack prints through the display; a flow's output may go to a file.
        redirect_stdout=False,
        redirect_stderr=False,
    )


def _title_column(rows: Rows) -> Column:
    column = rows.columns[1]
    assert isinstance(column, ProgressColumn)
    return column.get_table_column()
