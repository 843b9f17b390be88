"""A flow of a hundred task pods; `scripts/bench` times the `down` after it."""

from metaflow import FlowSpec, kubernetes, step

TASKS = 98


class HundredTasks(FlowSpec):
    """98 tasks of a foreach, with the steps start, join and end around them."""

    @kubernetes(cpu=0.1, memory=128)
    @step
    def start(self) -> None:
        """Fan out."""
        self.numbers = list(range(TASKS))
        self.next(self.task, foreach="numbers")

    @kubernetes(cpu=0.1, memory=128)
    @step
    def task(self) -> None:
        """Do nothing."""
        self.next(self.join)

    @step
    def join(self, inputs: object) -> None:
        """Fan in."""
        self.next(self.end)

    @step
    def end(self) -> None:
        """Finish."""


if __name__ == "__main__":
    HundredTasks()
