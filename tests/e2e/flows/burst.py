"""Ranks that only the nodes of a pool can hold, one on each."""

from metaflow import FlowSpec, Parameter, current, kubernetes, parallel, retry, step

# The label and the devices come seconds after the node itself.
POOL = {"node.kubernetes.io/instance-type": "p3.8xlarge"}


class BurstFlow(FlowSpec):
    """Runs two ranks that need 40 CPUs and a GPU each."""

    ranks = Parameter("ranks", default=2)

    @step
    def start(self):
        self.next(self.work, num_parallel=self.ranks)

    @retry(times=2, minutes_between_retries=0)
    @kubernetes(cpu=40, memory=256, disk=256, gpu=1, node_selector=POOL)
    @parallel
    @step
    def work(self):
        self.rank = current.parallel.node_index
        self.next(self.join)

    @step
    def join(self, inputs):
        self.ranks_seen = sorted(each.rank for each in inputs)
        print("ranks", self.ranks_seen)
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    BurstFlow()
