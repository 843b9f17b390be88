"""A gang."""

from metaflow import FlowSpec, current, kubernetes, parallel, step

SMALL = {"cpu": 0.05, "memory": 200, "disk": 100}


class ArgoRanksFlow(FlowSpec):
    """Collects the ranks of a gang."""

    @kubernetes(**SMALL)
    @step
    def start(self):
        self.next(self.work, num_parallel=2)

    @kubernetes(**SMALL)
    @parallel
    @step
    def work(self):
        self.rank = current.parallel.node_index
        self.next(self.join)

    @kubernetes(**SMALL)
    @step
    def join(self, inputs):
        self.ranks = sorted(each.rank for each in inputs)
        self.next(self.end)

    @kubernetes(**SMALL)
    @step
    def end(self):
        pass


if __name__ == "__main__":
    ArgoRanksFlow()
