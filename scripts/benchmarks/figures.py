"""A benchmark's measurements: command line, budgets, table and JSON."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Figure:
    """A measurement.

    Attributes:
        what: what was measured.
        unit: of all three values, such as "s" or "MiB".
        value: what devstack needs.
        budget: the most that it may need; None if there is no budget.
        peer: what the peer in the same run needs; None if there is no peer.
    """

    what: str
    unit: str
    value: float
    budget: float | None = None
    peer: float | None = None

    @property
    def met(self) -> bool:
        """True if the value is within the budget, or there is none."""
        return self.budget is None or self.value <= self.budget

    def as_row(self) -> tuple[str, ...]:
        """Return the figure as a row of the table."""
        verdict = "" if self.budget is None else "met" if self.met else "missed"
        numbers = (self._format(each) for each in (self.value, self.peer, self.budget))
        return (self.what, *numbers, self.unit, verdict)

    def _format(self, value: float | None) -> str:
        return "" if value is None else f"{value:.2f}"


def parse_arguments(description: str | None, *, samples: bool = False) -> argparse.Namespace:
    """Parse a benchmark's command line.

    Args:
        description: the benchmark's docstring.
        samples: add ``--skip-samples``.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--runs", type=int, default=3, help="runs to take the median of")
    if samples:
        parser.add_argument("--skip-samples", action="store_true", help="run no sample flows")
    return parser.parse_args()


def report(figures: Sequence[Figure], title: str, file: Path | None, **more: Any) -> int:
    """Print the figures as a table and write them as JSON.

    Args:
        figures: the measurements.
        title: of the table.
        file: the JSON file; None if there is to be none.
        more: written to the file too, by name.

    Returns:
        The exit status: 1 if a budget is missed.
    """
    table = Table("what", "value", "peer", "budget", "unit", "", title=title)
    for figure in figures:
        table.add_row(*figure.as_row())
    Console(width=110, highlight=False).print(table)
    if file:
        rows = [{**asdict(figure), "met": figure.met} for figure in figures]
        file.write_text(json.dumps({"figures": rows, **more}, indent=2) + "\n")
    return 0 if all(figure.met for figure in figures) else 1


def seconds_between(begin: str, end: str) -> float:
    """Return the seconds between two times of Airflow's REST API."""
    return (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds()
