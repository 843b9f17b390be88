"""Report: a card, so that a result can be looked at.

``@card`` keeps an HTML page with a task.  The step fills it with components;
"devstack shell" and then ``python report.py card view end`` opens it, and
``metaflow.cards.get_cards`` reads it from Python.

Try:  devstack run report
"""

from metaflow import FlowSpec, card, current, kubernetes, step
from metaflow.cards import Markdown, Table

MONTHS = {"January": 31, "February": 28, "March": 31}


class ReportFlow(FlowSpec):
    """Draws a table of months into a card."""

    @card(type="blank", id="months")
    @kubernetes(cpu=0.2, memory=256, disk=512)
    @step
    def start(self):
        """Compute something, and show it."""
        self.days = sum(MONTHS.values())
        current.card["months"].append(Markdown("# The first months of a year"))
        current.card["months"].append(
            Table([[name, days] for name, days in MONTHS.items()], headers=["Month", "Days"])
        )
        current.card["months"].append(Markdown(f"{self.days} days in all"))
        self.next(self.end)

    @step
    def end(self):
        """The card stays with the task that made it."""


if __name__ == "__main__":
    ReportFlow()
