"""Fails in its second step, unless told not to."""

import os

from metaflow import FlowSpec, step


class BrokenFlow(FlowSpec):
    """Its first step is what `resume` must not run again."""

    @step
    def start(self):
        self.made_by = os.getpid()
        self.next(self.end)

    @step
    def end(self):
        if "MENDED" not in os.environ:
            raise ValueError("broken")


if __name__ == "__main__":
    BrokenFlow()
