"""The live line of a running step: title, seconds so far, latest note."""

from __future__ import annotations

import time

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner as Dots
from rich.table import Table
from rich.text import Text

TITLE_WIDTH = 58
"""Spinner, title and seconds; a long note gives way, not they."""


class Spinner:
    """A line that redraws itself until stopped.

    Args:
        console: where it is drawn.
    """

    def __init__(self, console: Console) -> None:
        self._dots = Dots("dots", style="cyan")
        self._title = self._note = ""
        self._began = time.monotonic()
        self._live = Live(
            get_renderable=self._draw, console=console, refresh_per_second=8, transient=True
        )
        self._live.start()

    def update(self, title: str, note: str, began: float) -> None:
        """Show another title or note; ``began`` is when the step started, in seconds."""
        self._title, self._note, self._began = title, note, began

    def stop(self) -> None:
        """Remove the line."""
        self._live.stop()

    def _draw(self) -> Table:
        line = Table.grid(padding=(0, 1))
        line.add_column(width=1)
        line.add_column(no_wrap=True, min_width=TITLE_WIDTH)
        line.add_column(no_wrap=True, overflow="ellipsis")
        seconds = time.monotonic() - self._began
        note = Text(self._note, style="dim", overflow="ellipsis", no_wrap=True)
        line.add_row(" ", Text.assemble(self._spin(), f" {self._title:<46} {seconds:6.1f} s"), note)
        return line

    def _spin(self) -> Text:
        drawn = self._dots.render(time.monotonic())
        return drawn if isinstance(drawn, Text) else Text("*")
