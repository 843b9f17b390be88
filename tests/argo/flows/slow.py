"""A step that takes a while, and is tried again."""

import time

from metaflow import FlowSpec, Parameter, current, kubernetes, retry, step

SMALL = {"cpu": 0.05, "memory": 200, "disk": 100}


class ArgoSlowFlow(FlowSpec):
    """Waits in its first step, in its first attempt."""

    seconds = Parameter("seconds", default=20)

    @retry(times=2, minutes_between_retries=0)
    @kubernetes(**SMALL)
    @step
    def start(self):
        print("the step can be interrupted", flush=True)
        if current.retry_count == 0:
            time.sleep(self.seconds)
        self.attempt = current.retry_count
        self.next(self.end)

    @retry(times=2, minutes_between_retries=0)
    @kubernetes(**SMALL)
    @step
    def end(self):
        self.ended = True


if __name__ == "__main__":
    ArgoSlowFlow()
