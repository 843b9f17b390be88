"""A pipeline that a recurring run starts every minute.

``@schedule`` takes the five fields of Unix, or AWS's six; Kubeflow has the seconds in addition,
which devstack adds. There are no time zones: the schedule is in UTC.

Try:  devstack run --kubeflow kubeflow-scheduled
"""

from datetime import datetime, timezone

from metaflow import FlowSpec, kubernetes, schedule, step

SMALL = {"cpu": 0.1, "memory": 256, "disk": 512}


@schedule(cron="* * * * *")
class KubeflowScheduledFlow(FlowSpec):
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
        print(f"The recurring run called at {self.now:%H:%M:%S} UTC")


if __name__ == "__main__":
    KubeflowScheduledFlow()
