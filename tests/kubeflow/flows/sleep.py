"""A step that takes long, to be terminated."""

import time

from metaflow import FlowSpec, kubernetes, step


class KubeflowSleepFlow(FlowSpec):
    """Sleeps."""

    @kubernetes(cpu=0.05, memory=200, disk=100)
    @step
    def start(self):
        time.sleep(600)
        self.next(self.end)

    @kubernetes(cpu=0.05, memory=200, disk=100)
    @step
    def end(self):
        pass


if __name__ == "__main__":
    KubeflowSleepFlow()
