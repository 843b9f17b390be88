"""A conditional whose one branch leads back to it."""

from metaflow import FlowSpec, kubernetes, step

SMALL = {"cpu": 0.05, "memory": 200, "disk": 100}


class ArgoChoiceFlow(FlowSpec):
    """Count to two: one branch of the conditional leads back to the step that counts."""

    @kubernetes(**SMALL)
    @step
    def start(self):
        self.count = 0
        self.next(self.add)

    @kubernetes(**SMALL)
    @step
    def add(self):
        self.count += 1
        self.enough = "yes" if self.count == 2 else "no"
        self.next({"yes": self.tell, "no": self.add}, condition="enough")

    @kubernetes(**SMALL)
    @step
    def tell(self):
        self.told = True
        self.next(self.end)

    @kubernetes(**SMALL)
    @step
    def end(self):
        pass


if __name__ == "__main__":
    ArgoChoiceFlow()
