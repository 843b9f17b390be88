"""One step, described only by --with."""

import time

from metaflow import FlowSpec, Parameter, step


class PlainFlow(FlowSpec):
    """Waits as long as it is told to."""

    seconds = Parameter("seconds", default=0)

    @step
    def start(self):
        print("the step has begun", flush=True)
        time.sleep(self.seconds)
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    PlainFlow()
