"""Graphs and values that the samples do not have."""

from metaflow import Config, FlowSpec, IncludeFile, Parameter, project, step


@project(name="shop")
class GraphFlow(FlowSpec):
    """A foreach of two steps inside a foreach, and a conditional that leads back to itself."""

    settings = Config("settings", default_value={"shops": {"north": [3], "south": [5]}})
    notes = IncludeFile("notes", default=__file__)
    factor = Parameter("factor", required=True, type=int)

    @step
    def start(self):
        self.regions = list(self.settings.shops)
        self.next(self.region, foreach="regions")

    @step
    def region(self):
        self.label = self.input
        self.shops = list(self.settings.shops[self.label])
        self.next(self.shop, foreach="shops")

    @step
    def shop(self):
        self.sales = self.input
        self.next(self.multiply)

    @step
    def multiply(self):
        self.sales *= self.factor
        self.next(self.add_region)

    @step
    def add_region(self, inputs):
        self.total = (inputs[0].label, sum(each.sales for each in inputs))
        self.next(self.add_all)

    @step
    def add_all(self, inputs):
        self.totals = dict(each.total for each in inputs)
        self.count = 0
        self.next(self.again)

    @step
    def again(self):
        self.count += 1
        self.done = "yes" if self.count == 2 else "no"
        self.next({"yes": self.end, "no": self.again}, condition="done")

    @step
    def end(self):
        self.included = "class GraphFlow" in self.notes
        print("totals", self.totals, "count", self.count, "included", self.included)


if __name__ == "__main__":
    GraphFlow()
