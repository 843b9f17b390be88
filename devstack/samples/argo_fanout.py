"""A foreach inside a foreach, on Argo.

Argo starts a pod for each item of a list, and for each item of the lists inside of it; each join
waits for its own items.

Try:  devstack run --argo argo-fanout
"""

from metaflow import FlowSpec, kubernetes, step

SMALL = {"cpu": 0.1, "memory": 200, "disk": 256}
SHOPS = {"north": [3, 4], "south": [5]}


class ArgoFanoutFlow(FlowSpec):
    """Adds up the sales of shops, by region."""

    @kubernetes(**SMALL)
    @step
    def start(self):
        """Create the list to fan out over."""
        self.regions = list(SHOPS)
        self.next(self.region, foreach="regions")

    @kubernetes(**SMALL)
    @step
    def region(self):
        """Create the list of one region's shops."""
        self.label = self.input
        self.shops = SHOPS[self.label]
        self.next(self.shop, foreach="shops")

    @kubernetes(**SMALL)
    @step
    def shop(self):
        """Double the sales of one shop."""
        self.sales = self.input * 2
        self.next(self.add_region)

    @kubernetes(**SMALL)
    @step
    def add_region(self, inputs):
        """Add up the shops of one region."""
        self.total = (inputs[0].label, sum(each.sales for each in inputs))
        self.next(self.add_all)

    @kubernetes(**SMALL)
    @step
    def add_all(self, inputs):
        """Collect the regions."""
        self.totals = dict(each.total for each in inputs)
        self.next(self.end)

    @kubernetes(**SMALL)
    @step
    def end(self):
        """Print the totals."""
        print(f"The regions sold {self.totals}")


if __name__ == "__main__":
    ArgoFanoutFlow()
