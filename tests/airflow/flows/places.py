"""Runs on any platform, and records where each step ran."""

import os
import socket

from metaflow import FlowSpec, Parameter, step


class PlacesFlow(FlowSpec):
    """Three squares, and where they were computed."""

    count = Parameter("count", default=3)

    @step
    def start(self):
        self.numbers = list(range(self.count))
        self.next(self.square, foreach="numbers")

    @step
    def square(self):
        self.value = self.input**2
        self.host = socket.gethostname()
        self.in_pod = "KUBERNETES_SERVICE_HOST" in os.environ
        self.next(self.join)

    @step
    def join(self, inputs):
        self.total = sum(each.value for each in inputs)
        self.in_pod = all(each.in_pod for each in inputs)
        self.next(self.end)

    @step
    def end(self):
        if os.environ.get("BREAK_PLACES"):
            raise ValueError("broken on purpose")


if __name__ == "__main__":
    PlacesFlow()
