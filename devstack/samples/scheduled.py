"""A DAG that the scheduler starts every minute.

``@schedule`` takes ``hourly``, ``daily``, ``weekly`` or a cron expression, in
UTC.  The first run starts at the end of the first full interval after the deployment:
here after one to two minutes.

Try:  devstack run --airflow scheduled
"""

from datetime import datetime, timezone

from metaflow import FlowSpec, kubernetes, schedule, step

SMALL = {"cpu": 0.1, "memory": 256, "disk": 512}


@schedule(cron="* * * * *")
class ScheduledFlow(FlowSpec):
    """Records the time."""

    @kubernetes(**SMALL)
    @step
    def start(self):
        """Record the time."""
        self.now = datetime.now(timezone.utc)
        self.next(self.end)

    @kubernetes(**SMALL)
    @step
    def end(self):
        """Print the time."""
        print(f"The scheduler called at {self.now:%H:%M:%S} UTC")


if __name__ == "__main__":
    ScheduledFlow()
