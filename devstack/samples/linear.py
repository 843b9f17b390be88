"""A DAG of three tasks, with a Parameter.

On Airflow each step becomes a task, and each task a pod: there is no step on
your own machine.  Parameters need a default, since a schedule starts runs with
nobody there to give a value; a run that is triggered may override it:

- ``devstack airflow trigger LinearFlow --param greeting=Hi``.

``@environment`` sets variables of the pod, and ``@card`` draws a page from the
artifacts, as anywhere else.

Try:  devstack run --airflow linear
"""

import os

from metaflow import FlowSpec, Parameter, card, current, environment, kubernetes, step
from metaflow.cards import Markdown

SMALL = {"cpu": 0.1, "memory": 256, "disk": 512}


class LinearFlow(FlowSpec):
    """Greets someone, in a pod of its own for each word."""

    greeting = Parameter("greeting", default="Hello", help="the first word")
    times = Parameter("times", default=2, help="how often to say it")

    @environment(vars={"WHOM": "Airflow"})
    @kubernetes(**SMALL)
    @step
    def start(self):
        """Put the sentence together."""
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
        """Say it."""
        print(f"The DAG said: {self.sentence}")


if __name__ == "__main__":
    LinearFlow()
