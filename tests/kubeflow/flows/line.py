"""Two steps with a text; the second one fails if the text asks for it."""

from metaflow import FlowSpec, Parameter, kubernetes, step

SMALL = {"cpu": 0.05, "memory": 200, "disk": 100}


class KubeflowLineFlow(FlowSpec):
    """Stores its parameter."""

    text = Parameter("text", default="none")

    @kubernetes(**SMALL)
    @step
    def start(self):
        self.seen = self.text
        self.next(self.load_data)

    @kubernetes(**SMALL)
    @step
    def load_data(self):
        if self.seen == "broken":
            raise RuntimeError("out of fuel")
        self.next(self.end)

    @kubernetes(**SMALL)
    @step
    def end(self):
        print("seen:", self.seen)


if __name__ == "__main__":
    KubeflowLineFlow()
