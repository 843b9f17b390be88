"""Report: a card that shows a result.

``@card`` stores an HTML page with a task.  The step fills it with components;
"devstack shell" and then ``python report.py card view end`` opens it, and
``metaflow.cards.get_cards`` reads it from Python.

To render a card, Metaflow reads the run's records.  The stack's metadata service
serves them to pods as well as to your machine, so a step in a pod can have a card.

Try:  devstack run report
"""

from metaflow import FlowSpec, card, current, kubernetes, step
from metaflow.cards import Markdown, Table

MONTHS = {"January": 31, "February": 28, "March": 31}


class ReportFlow(FlowSpec):
    """Shows a table of months on a card."""

    @kubernetes(cpu=0.2, memory=256, disk=512)
    @step
    def start(self):
        """Compute the days."""
        self.months = MONTHS
        self.days = sum(MONTHS.values())
        self.next(self.end)

    @card(type="blank", id="months")
    @kubernetes(cpu=0.2, memory=256, disk=512)
    @step
    def end(self):
        """Show them on the card of this task."""
        page = current.card["months"]
        page.append(Markdown("# The first months of a year"))
        rows = [[name, days] for name, days in self.months.items()]
        page.append(Table(rows, headers=["Month", "Days"]))
        page.append(Markdown(f"{self.days} days in all"))


if __name__ == "__main__":
    ReportFlow()
