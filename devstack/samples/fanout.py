"""A foreach on Airflow: dynamic task mapping.

The number of tasks is known only after ``start``: Airflow maps one task over the
list that it created, and starts the join when all of them have ended.  Airflow does
not support a foreach inside a foreach, nor more than one step before the join;
``devstack airflow deploy`` rejects such a flow.

``@resources`` requests cpu and memory as on Kubernetes.

Try:  devstack run --airflow fanout
"""

from metaflow import FlowSpec, Parameter, kubernetes, resources, step

SMALL = {"cpu": 0.1, "memory": 256, "disk": 512}


class FanoutFlow(FlowSpec):
    """Squares numbers, each in its own task."""

    count = Parameter("count", default=3, help="how many numbers")

    @kubernetes(**SMALL)
    @step
    def start(self):
        """Create the list to fan out over."""
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
        """Print the sum."""
        print(f"The squares add up to {self.total}")


if __name__ == "__main__":
    FanoutFlow()
