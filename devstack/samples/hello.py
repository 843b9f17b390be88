"""Hello: the smallest flow that runs in the cluster.

A flow is a class, its steps are methods, and what a step assigns to ``self`` is an
artifact: Metaflow stores it in the datastore and passes it to the next step, wherever
that runs.  ``@kubernetes`` runs a step in a pod.  Here ``greet`` runs in the cluster,
``start`` and ``end`` on your machine.

Try:  devstack run hello
      devstack run devstack/samples/hello.py -- --who you
"""

import os
import platform

from metaflow import FlowSpec, Parameter, kubernetes, step


class HelloFlow(FlowSpec):
    """Greets from a pod."""

    who = Parameter("who", default="world", help="Whom to greet.")

    @step
    def start(self):
        """Begin on this machine."""
        self.started_in_pod = "KUBERNETES_SERVICE_HOST" in os.environ
        self.next(self.greet)

    @kubernetes(cpu=0.2, memory=256, disk=512)
    @step
    def greet(self):
        """Greet from a pod, and print its name."""
        self.greeting = f"Hello, {self.who}!"
        self.greeted_in_pod = "KUBERNETES_SERVICE_HOST" in os.environ
        self.pod = platform.node()
        print(f"{self.greeting} This is pod {self.pod}.")
        self.next(self.end)

    @step
    def end(self):
        """Print on this machine what the pod stored."""
        print(f"The pod said: {self.greeting}")


if __name__ == "__main__":
    HelloFlow()
