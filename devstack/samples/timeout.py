"""Timeout: a step that takes too long is stopped, and the flow goes on.

``@timeout`` ends a task after a while; on Kubernetes that is a minute at
least.  There it is the deadline of the pod, and nothing that the step did
before is kept.  A task that timed out has failed like any other: ``@retry``
would run it again, and ``@catch``, as here, lets the flow go on without it.

Try:  devstack run timeout        (it takes a minute, as it must)
"""

import time

from metaflow import FlowSpec, catch, kubernetes, step, timeout

LIMIT_SECONDS = 60


class TimeoutFlow(FlowSpec):
    """Sleeps too long, is stopped, and tells how it ended."""

    @step
    def start(self):
        """Nothing has finished yet."""
        self.finished = False
        self.next(self.sleep)

    @catch(var="failure", print_exception=False)
    @timeout(seconds=LIMIT_SECONDS)
    @kubernetes(cpu=0.1, memory=256, disk=512)
    @step
    def sleep(self):
        """Sleep past the limit."""
        time.sleep(10 * LIMIT_SECONDS)
        self.finished = True
        self.next(self.end)

    @step
    def end(self):
        """Say how the step before ended."""
        self.reason = str(self.failure)
        print(f"finished: {self.finished}; stopped by: {self.reason}")


if __name__ == "__main__":
    TimeoutFlow()
