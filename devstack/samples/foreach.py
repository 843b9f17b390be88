"""Foreach: fan out into pods, survive failures, join the results.

``foreach`` starts one task for each item of a list, and ``join`` brings the
tasks together.  The decorators say what each task needs and what to do when it
goes wrong:

- ``@resources`` asks for cpu and memory without naming a platform;
- ``@retry`` runs a failed task again: the item "flaky" fails at the first
  attempt, on purpose, and succeeds at the second;
- ``@catch`` lets the flow go on when a task fails for good: the item "hopeless"
  never succeeds, and its exception becomes an artifact;
- ``@timeout`` ends a task that takes too long (the sample "timeout" shows it
  strike; here it is only armed).

Try:  devstack run foreach
"""

from metaflow import FlowSpec, catch, current, kubernetes, resources, retry, step, timeout

ITEMS = ["plain", "flaky", "hopeless"]


class ForeachFlow(FlowSpec):
    """Squares some numbers, each in a pod of its own."""

    @step
    def start(self):
        """Make the list to fan out over."""
        self.items = ITEMS
        self.next(self.work, foreach="items")

    @catch(var="failure", print_exception=False)
    @retry(times=1, minutes_between_retries=0)
    @timeout(minutes=2)
    @resources(cpu=0.2, memory=256)
    @kubernetes(cpu=0.1, memory=128, disk=512)
    @step
    def work(self):
        """Work on one item; two of the three get into trouble."""
        self.item = self.input
        self.attempt = current.retry_count
        if self.item == "flaky" and self.attempt == 0:
            raise RuntimeError("flaky fails at its first attempt")
        if self.item == "hopeless":
            raise ValueError("hopeless fails at every attempt")
        self.result = len(self.item) ** 2
        self.next(self.join)

    @step
    def join(self, inputs):
        """Collect what came of each item."""
        self.results = {i.item: i.result for i in inputs if not i.failure}
        self.attempts = {i.item: i.attempt for i in inputs}
        self.failures = {i.item: str(i.failure) for i in inputs if i.failure}
        print(f"results {self.results}, failed for good: {sorted(self.failures)}")
        self.next(self.end)

    @step
    def end(self):
        """Done, in spite of everything."""


if __name__ == "__main__":
    ForeachFlow()
