"""A flow that an event starts."""

from metaflow import FlowSpec, Parameter, current, kubernetes, step, trigger

SMALL = {"cpu": 0.05, "memory": 200, "disk": 100}


@trigger(event={"name": "shipment", "parameters": {"size": "boxes", "text": "note"}})
class ArgoWaiterFlow(FlowSpec):
    """Stores what the event contained."""

    size = Parameter("size", default=1)
    text = Parameter("text", default="none")

    @kubernetes(**SMALL)
    @step
    def start(self):
        self.seen = [self.size, self.text]
        self.event = current.trigger.event.name if current.trigger else None
        self.next(self.end)

    @kubernetes(**SMALL)
    @step
    def end(self):
        pass


if __name__ == "__main__":
    ArgoWaiterFlow()
