"""Fails in its second step, unless a Parameter disables that."""

import os

from metaflow import FlowSpec, step


class BrokenFlow(FlowSpec):
    """`resume` must not run its first step again."""

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
