"""A foreach whose tasks are shared by Celery workers.

The scheduler sends each task to the broker, and a worker that has a slot takes it from there.
The worker waits for the task's pod, so ``worker_concurrency`` limits the pods of each worker.
The stack needs an executor of Celery:

    [airflow]
    executor = "CeleryExecutor"
    workers = 2

Try:  devstack run --airflow celery
"""

from metaflow import FlowSpec, kubernetes, step

SMALL = {"cpu": 0.1, "memory": 256, "disk": 512}


class CeleryFlow(FlowSpec):
    """Cubes numbers, each in its own task."""

    @kubernetes(**SMALL)
    @step
    def start(self):
        """Create the list to fan out over."""
        self.numbers = [1, 2, 3, 4]
        self.next(self.work, foreach="numbers")

    @kubernetes(**SMALL)
    @step
    def work(self):
        """Cube one number."""
        self.cube = self.input**3
        self.next(self.join)

    @kubernetes(**SMALL)
    @step
    def join(self, inputs):
        """Add them up."""
        self.total = sum(each.cube for each in inputs)
        self.next(self.end)

    @kubernetes(**SMALL)
    @step
    def end(self):
        """Print the sum."""
        print(f"The cubes add up to {self.total}")


if __name__ == "__main__":
    CeleryFlow()
