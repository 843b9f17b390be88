"""A flow that publishes an event."""

from metaflow import FlowSpec, kubernetes, step
from metaflow.integrations import ArgoEvent

SMALL = {"cpu": 0.05, "memory": 200, "disk": 100}


class ArgoPublisherFlow(FlowSpec):
    """Publishes an event in its first step."""

    @kubernetes(**SMALL)
    @step
    def start(self):
        self.id = ArgoEvent("shipment", payload={"boxes": 5}).publish(ignore_errors=False)
        self.next(self.end)

    @kubernetes(**SMALL)
    @step
    def end(self):
        pass


if __name__ == "__main__":
    ArgoPublisherFlow()
