"""More ranks than fit on any machine that runs the tests."""

from metaflow import FlowSpec, kubernetes, parallel, step


class CrowdFlow(FlowSpec):
    """Requests eight pods that fit one at a time, but never together."""

    @step
    def start(self):
        self.next(self.work, num_parallel=8)

    @kubernetes(cpu=0.1, memory=128, disk=256, extended_resources={"devstack.dev/seat": 1})
    @parallel
    @step
    def work(self):
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    CrowdFlow()
