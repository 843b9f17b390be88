"""A gang whose workers wait a short time for the first pod's host name."""

from metaflow import FlowSpec, kubernetes, parallel, step


class GangFlow(FlowSpec):
    """One gang of two."""

    @step
    def start(self):
        self.next(self.train, num_parallel=2)

    @kubernetes(cpu=0.1, memory=256, disk=100, hostname_resolution_timeout=3)
    @parallel
    @step
    def train(self):
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    GangFlow()
