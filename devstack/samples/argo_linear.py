"""A workflow of three pods, with typed Parameters.

On Argo each step becomes a pod of a workflow; no step runs on your machine. A triggered run can
override the Parameters:

- ``devstack argo trigger ArgoLinearFlow --param times=3``.

A text reaches the pods as it is, whatever it contains: the default of ``motto`` has what shells,
JSON and Argo's templates would interpret.

Try:  devstack run --argo argo-linear
"""

import os

from metaflow import FlowSpec, JSONType, Parameter, kubernetes, step

SMALL = {"cpu": 0.1, "memory": 256, "disk": 512}


class ArgoLinearFlow(FlowSpec):
    """Repeats a motto."""

    motto = Parameter("motto", default="pay $5 to `Zoë` \\ {{now}}", help="any text")
    times = Parameter("times", default=2, help="how often to say it")
    marks = Parameter("marks", type=JSONType, default={"end": "!"}, help="what comes after it")

    @kubernetes(**SMALL)
    @step
    def start(self):
        """Build the sentence."""
        self.sentence = " ".join([self.motto] * self.times) + self.marks["end"]
        self.next(self.middle)

    @kubernetes(**SMALL)
    @step
    def middle(self):
        """Note where this runs."""
        self.workflow = os.environ["ARGO_WORKFLOW_NAME"]
        self.next(self.end)

    @kubernetes(**SMALL)
    @step
    def end(self):
        """Print the sentence."""
        print(f"The workflow said: {self.sentence}")


if __name__ == "__main__":
    ArgoLinearFlow()
