"""A flow that every engine runs as it is: a Parameter, a variable, a foreach and its join."""

import os

from metaflow import FlowSpec, Parameter, environment, kubernetes, step

SMALL = {"cpu": 0.05, "memory": 200, "disk": 100}


class EverywhereFlow(FlowSpec):
    """Doubles numbers."""

    count = Parameter("count", default=1)
    text = Parameter("text", default="none")

    @kubernetes(**SMALL)
    @step
    def start(self):
        self.seen = self.text
        self.numbers = list(range(self.count))
        self.next(self.double, foreach="numbers")

    @kubernetes(**SMALL)
    @step
    def double(self):
        self.doubled = 2 * self.input
        self.next(self.join)

    @environment(vars={"COLOUR": "green"})
    @kubernetes(**SMALL)
    @step
    def join(self, inputs):
        self.results = sorted(each.doubled for each in inputs)
        self.colour = os.environ["COLOUR"]
        self.merge_artifacts(inputs, include=["seen"])
        self.next(self.end)

    @kubernetes(**SMALL)
    @step
    def end(self):
        print("results:", self.results)


if __name__ == "__main__":
    EverywhereFlow()
