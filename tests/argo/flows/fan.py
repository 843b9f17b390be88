"""A foreach, one item of which succeeds at its second attempt only."""

from metaflow import FlowSpec, current, kubernetes, retry, step

SMALL = {"cpu": 0.05, "memory": 200, "disk": 100}


class ArgoFanFlow(FlowSpec):
    """Squares numbers."""

    @kubernetes(**SMALL)
    @step
    def start(self):
        self.numbers = [1, 2, 3]
        self.next(self.square, foreach="numbers")

    @retry(times=1, minutes_between_retries=0)
    @kubernetes(**SMALL)
    @step
    def square(self):
        if self.input == 2 and current.retry_count == 0:
            raise RuntimeError("fails once, on purpose")
        self.result = (self.input**2, current.retry_count)
        self.next(self.join)

    @kubernetes(**SMALL)
    @step
    def join(self, inputs):
        self.results = sorted(each.result for each in inputs)
        self.next(self.end)

    @kubernetes(**SMALL)
    @step
    def end(self):
        pass


if __name__ == "__main__":
    ArgoFanFlow()
