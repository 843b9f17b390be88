"""A gang, which metaflow-kubeflow cannot run."""

from metaflow import FlowSpec, parallel, step


class KubeflowGangFlow(FlowSpec):
    """Has a @parallel step."""

    @step
    def start(self):
        self.next(self.work, num_parallel=2)

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
    KubeflowGangFlow()
