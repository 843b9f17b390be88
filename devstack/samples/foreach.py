"""Foreach: fan out into pods, survive failures, join the results.

``foreach`` starts one task for each item of a list, and ``join`` merges their
results.  The decorators declare what each task needs and how failures are handled:

- ``@resources`` requests cpu and memory without naming a platform;
- ``@retry`` runs a failed task again: the item "flaky" fails at the first
  attempt, on purpose, and succeeds at the second;
- with ``@catch`` the flow continues after a task's last attempt has failed: the item
  "always_fails" never succeeds, and its exception becomes an artifact;
- ``@timeout`` ends a task that takes too long (as in the sample "timeout"; here no
  task does).

Try:  devstack run foreach
"""

from metaflow import FlowSpec, catch, current, kubernetes, resources, retry, step, timeout

ITEMS = ["plain", "flaky", "always_fails"]


class ForeachFlow(FlowSpec):
    """Processes items, each in its own pod."""

    @step
    def start(self):
        """Create the list to fan out over."""
        self.items = ITEMS
        self.next(self.work, foreach="items")

    @catch(var="failure", print_exception=False)
    @retry(times=1, minutes_between_retries=0)
    @timeout(minutes=2)
    @resources(cpu=0.2, memory=256)
    @kubernetes(cpu=0.1, memory=128, disk=512)
    @step
    def work(self):
        """Process one item; two of the three fail."""
        self.item = self.input
        self.attempt = current.retry_count
        if self.item == "flaky" and self.attempt == 0:
            raise RuntimeError("flaky fails at its first attempt")
        if self.item == "always_fails":
            raise ValueError("always_fails fails at every attempt")
        self.result = len(self.item) ** 2
        self.next(self.join)

    @step
    def join(self, inputs):
        """Collect the results of the items."""
        self.results = {i.item: i.result for i in inputs if not i.failure}
        self.attempts = {i.item: i.attempt for i in inputs}
        self.failures = {i.item: str(i.failure) for i in inputs if i.failure}
        print(f"results {self.results}, failed at every attempt: {sorted(self.failures)}")
        self.next(self.end)

    @step
    def end(self):
        """End in spite of the failures."""


if __name__ == "__main__":
    ForeachFlow()
