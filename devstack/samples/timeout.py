"""Timeout: a step that takes too long is stopped, and the flow continues.

``@timeout`` ends a task; on Kubernetes after a minute at least.  There it is the
deadline of the pod, and the artifacts of the step are lost.  A task that timed out has
failed like any other: ``@retry`` would run it again, and with ``@catch``, as here, the
flow continues without it.

Try:  devstack run timeout        (takes a minute)
"""

import time

from metaflow import FlowSpec, catch, kubernetes, step, timeout

LIMIT_SECONDS = 60


class TimeoutFlow(FlowSpec):
    """Sleeps too long and is stopped."""

    @step
    def start(self):
        """Record that the next step has not finished."""
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
        """Print how the previous step ended."""
        self.reason = str(self.failure)
        print(f"finished: {self.finished}; stopped by: {self.reason}")


if __name__ == "__main__":
    TimeoutFlow()
