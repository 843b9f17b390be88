"""A flow that starts when another one has finished."""

from metaflow import FlowSpec, current, kubernetes, step, trigger_on_finish

SMALL = {"cpu": 0.05, "memory": 200, "disk": 100}


@trigger_on_finish(flow="ArgoLineFlow")
class ArgoFollowerFlow(FlowSpec):
    """Reads an artifact of the run that it follows."""

    @kubernetes(**SMALL)
    @step
    def start(self):
        self.seen = current.trigger.run.data.seen
        self.next(self.end)

    @kubernetes(**SMALL)
    @step
    def end(self):
        pass


if __name__ == "__main__":
    ArgoFollowerFlow()
