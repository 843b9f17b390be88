"""A step that fails."""

from metaflow import FlowSpec, kubernetes, step

SMALL = {"cpu": 0.05, "memory": 200, "disk": 100}


class ArgoBrokenFlow(FlowSpec):
    """Fails in its second step."""

    @kubernetes(**SMALL)
    @step
    def start(self):
        self.next(self.load_data)

    @kubernetes(**SMALL)
    @step
    def load_data(self):
        raise RuntimeError("out of fuel")
        self.next(self.end)

    @kubernetes(**SMALL)
    @step
    def end(self):
        pass


if __name__ == "__main__":
    ArgoBrokenFlow()
