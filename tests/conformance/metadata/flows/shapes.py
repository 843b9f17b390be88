"""All shapes of a graph: a branch, a foreach, a retry that succeeds, a failure that is caught."""

from metaflow import FlowSpec, Parameter, catch, current, retry, step


class ShapesFlow(FlowSpec):
    """Adds squares up."""

    count = Parameter("count", default=3)

    @step
    def start(self):
        self.numbers = list(range(self.count))
        self.next(self.fan, self.fail)

    @step
    def fan(self):
        self.next(self.square, foreach="numbers")

    @retry(times=1, minutes_between_retries=0)
    @step
    def square(self):
        self.tried = current.retry_count
        if self.input == 1 and self.tried == 0:
            raise ValueError("not at the first attempt")
        self.value = self.input**2
        self.next(self.add)

    @step
    def add(self, inputs):
        self.total = sum(each.value for each in inputs)
        self.next(self.end_of_branches)

    @catch(var="caught")
    @step
    def fail(self):
        if self.count:
            raise ValueError("on purpose")
        self.next(self.end_of_branches)

    @step
    def end_of_branches(self, inputs):
        self.total = inputs.add.total
        self.caught = str(inputs.fail.caught)
        self.next(self.end)

    @step
    def end(self):
        print("the total is", self.total)  # noqa: T201 - looked for in the log


if __name__ == "__main__":
    ShapesFlow()
