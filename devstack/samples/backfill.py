"""A DAG that runs daily, backfilled over three days.

Each run gets its date as the Parameter ``day``, so a run of an earlier day computes what it
would have computed then.

Try:  devstack run --airflow backfill
"""

from datetime import date

from metaflow import FlowSpec, Parameter, kubernetes, schedule, step

SMALL = {"cpu": 0.1, "memory": 256, "disk": 512}


@schedule(daily=True)
class BackfillFlow(FlowSpec):
    """Finds the weekday of its date."""

    day = Parameter("day", default="", help="Date of the run, such as 2026-11-01.")

    @kubernetes(**SMALL)
    @step
    def start(self):
        """Find the weekday."""
        self.date = date.fromisoformat(self.day) if self.day else date.today()
        self.weekday = self.date.strftime("%A")
        self.next(self.end)

    @kubernetes(**SMALL)
    @step
    def end(self):
        """Print the weekday."""
        print(f"{self.date} was a {self.weekday}")


if __name__ == "__main__":
    BackfillFlow()
