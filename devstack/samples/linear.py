"""A DAG of three tasks, with a Parameter.

On Airflow each step becomes a task, and each task a pod; no step runs on your machine.
Parameters need a default, since a scheduled run gets no values; a triggered run can
override it:

- ``devstack airflow trigger LinearFlow --param greeting=Hi``.

``@environment`` sets variables of the pod, and ``@card`` renders a page from the
artifacts, as on Kubernetes.

Try:  devstack run --airflow linear
"""

import os

from metaflow import FlowSpec, Parameter, card, current, environment, kubernetes, step
from metaflow.cards import Markdown

SMALL = {"cpu": 0.1, "memory": 256, "disk": 512}


class LinearFlow(FlowSpec):
    """Builds and prints a greeting."""

    greeting = Parameter("greeting", default="Hello", help="the first word")
    times = Parameter("times", default=2, help="how often to say it")

    @environment(vars={"WHOM": "Airflow"})
    @kubernetes(**SMALL)
    @step
    def start(self):
        """Build the sentence."""
        self.sentence = " ".join([self.greeting] * self.times + [os.environ["WHOM"]])
        self.next(self.middle)

    @card(type="blank")
    @kubernetes(**SMALL)
    @step
    def middle(self):
        """Write it on a card."""
        current.card.append(Markdown(f"# {self.sentence}"))
        self.in_pod = "KUBERNETES_SERVICE_HOST" in os.environ
        self.next(self.end)

    @kubernetes(**SMALL)
    @step
    def end(self):
        """Print it."""
        print(f"The DAG said: {self.sentence}")


if __name__ == "__main__":
    LinearFlow()
