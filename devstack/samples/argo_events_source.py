"""The flow whose end starts the flow of the sample argo-events.

Try:  devstack run --argo argo-events
"""

from metaflow import FlowSpec, kubernetes, step

SMALL = {"cpu": 0.1, "memory": 256, "disk": 512}


class ArgoEventsSourceFlow(FlowSpec):
    """Creates a number; its successful end is an event."""

    @kubernetes(**SMALL)
    @step
    def start(self):
        """Create the number."""
        self.number = 42
        self.next(self.end)

    @kubernetes(**SMALL)
    @step
    def end(self):
        """Print it."""
        print(f"The number is {self.number}")


if __name__ == "__main__":
    ArgoEventsSourceFlow()
