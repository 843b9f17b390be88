"""A flow that another flow's end starts.

``@trigger_on_finish`` makes a sensor of Argo Events wait for the successful end of the flow that
it names. ``current.trigger.run`` is the run that has ended. `devstack run` deploys both
flows, triggers the one in ``argo_events_source.py`` only, and waits for a run of this one.

Try:  devstack run --argo argo-events
"""

from metaflow import FlowSpec, current, kubernetes, step, trigger_on_finish

SMALL = {"cpu": 0.1, "memory": 256, "disk": 512}


@trigger_on_finish(flow="ArgoEventsSourceFlow")
class ArgoEventsFlow(FlowSpec):
    """Reads the number of the run that started it."""

    @kubernetes(**SMALL)
    @step
    def start(self):
        """Read the number."""
        self.source = current.trigger.run.pathspec
        self.number = current.trigger.run.data.number
        self.next(self.end)

    @kubernetes(**SMALL)
    @step
    def end(self):
        """Print it."""
        print(f"{self.source} made the number {self.number}")


if __name__ == "__main__":
    ArgoEventsFlow()
