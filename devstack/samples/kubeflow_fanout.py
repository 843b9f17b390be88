"""A foreach inside a foreach, on Kubeflow Pipelines.

metaflow-kubeflow compiles each foreach to a loop (``dsl.ParallelFor``), and each join collects
what the loop's last step returns (``dsl.Collected``).

Try:  devstack run --kubeflow kubeflow-fanout
"""

from metaflow import FlowSpec, kubernetes, step

SMALL = {"cpu": 0.1, "memory": 200, "disk": 256}
SHELVES = {"poetry": [12, 7], "maps": [3]}


class KubeflowFanoutFlow(FlowSpec):
    """Counts the books of a library, shelf by shelf."""

    @kubernetes(**SMALL)
    @step
    def start(self):
        """Create the list of rooms."""
        self.rooms = list(SHELVES)
        self.next(self.room, foreach="rooms")

    @kubernetes(**SMALL)
    @step
    def room(self):
        """Create the list of a room's shelves."""
        self.title = self.input
        self.shelves = SHELVES[self.title]
        self.next(self.shelf, foreach="shelves")

    @kubernetes(**SMALL)
    @step
    def shelf(self):
        """Count the books of one shelf."""
        self.books = self.input
        self.next(self.add_room)

    @kubernetes(**SMALL)
    @step
    def add_room(self, inputs):
        """Add up the shelves of one room."""
        self.counted = (inputs[0].title, sum(each.books for each in inputs))
        self.next(self.add_all)

    @kubernetes(**SMALL)
    @step
    def add_all(self, inputs):
        """Collect the rooms."""
        self.books = dict(each.counted for each in inputs)
        self.next(self.end)

    @kubernetes(**SMALL)
    @step
    def end(self):
        """Print the numbers."""
        print(f"The library has {self.books}")


if __name__ == "__main__":
    KubeflowFanoutFlow()
