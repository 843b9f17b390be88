"""A conditional on Argo, one branch of which leads back to it.

``condition`` names an artifact; its value selects the next step while the flow runs. A step that
leads back to itself makes a loop. The branch that is not taken has no pod.

Try:  devstack run --argo argo-branches
"""

from metaflow import FlowSpec, kubernetes, step

SMALL = {"cpu": 0.1, "memory": 256, "disk": 512}


class ArgoBranchesFlow(FlowSpec):
    """Halves a number until it is odd."""

    @kubernetes(**SMALL)
    @step
    def start(self):
        """Define the number."""
        self.number = 12
        self.halved = 0
        self.next(self.halve)

    @kubernetes(**SMALL)
    @step
    def halve(self):
        """Halve the number, and select the next step: this one again, if the half is even."""
        self.number //= 2
        self.halved += 1
        self.kind = "odd" if self.number % 2 else "even"
        self.next({"even": self.halve, "odd": self.tell, "none": self.give_up}, condition="kind")

    @kubernetes(**SMALL)
    @step
    def tell(self):
        """Note the result."""
        self.result = self.number
        self.next(self.end)

    @kubernetes(**SMALL)
    @step
    def give_up(self):
        """Never run."""
        self.result = None
        self.next(self.end)

    @kubernetes(**SMALL)
    @step
    def end(self):
        """Print the result."""
        print(f"The odd part of 12 is {self.result}, after {self.halved} halvings")


if __name__ == "__main__":
    ArgoBranchesFlow()
