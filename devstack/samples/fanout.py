"""A foreach as Airflow has it: dynamic task mapping.

How many tasks there are is known only once ``start`` has run: Airflow maps one
task over the list that it left, and starts the join when all of them are done.
A foreach inside a foreach, or more than one step before the join, Airflow
cannot do; ``devstack airflow deploy`` says so.

``@resources`` asks for cpu and memory as anywhere else.

Try:  devstack run --airflow fanout
"""

from metaflow import FlowSpec, Parameter, kubernetes, resources, step

SMALL = {"cpu": 0.1, "memory": 256, "disk": 512}


class FanoutFlow(FlowSpec):
    """Squares some numbers, each in a task of its own."""

    count = Parameter("count", default=3, help="how many numbers")

    @kubernetes(**SMALL)
    @step
    def start(self):
        """Make the list to fan out over."""
        self.numbers = list(range(1, self.count + 1))
        self.next(self.work, foreach="numbers")

    @resources(cpu=0.15, memory=256)
    @kubernetes(**SMALL)
    @step
    def work(self):
        """Square one number."""
        self.square = self.input**2
        self.next(self.join)

    @kubernetes(**SMALL)
    @step
    def join(self, inputs):
        """Add them up."""
        self.squares = sorted(each.square for each in inputs)
        self.total = sum(self.squares)
        self.next(self.end)

    @kubernetes(**SMALL)
    @step
    def end(self):
        """Say the sum."""
        print(f"The squares add up to {self.total}")


if __name__ == "__main__":
    FanoutFlow()
