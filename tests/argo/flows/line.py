"""Two steps; the second one prints the text of the first one."""

from metaflow import FlowSpec, Parameter, kubernetes, step

SMALL = {"cpu": 0.05, "memory": 200, "disk": 100}


class ArgoLineFlow(FlowSpec):
    """Stores its parameter."""

    text = Parameter("text", default="none")

    @kubernetes(**SMALL)
    @step
    def start(self):
        self.seen = self.text
        self.next(self.end)

    @kubernetes(**SMALL)
    @step
    def end(self):
        print("seen:", self.seen)


if __name__ == "__main__":
    ArgoLineFlow()
