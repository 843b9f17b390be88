"""Failure: a flow that fails on purpose, to show the report.

A step that raises an exception, or exits with a status other than 0, fails its
task; without ``@retry`` or ``@catch`` that fails the run.  "devstack run" then
exits with status 5 and shows the end of the pod's log, which contains the reason.

Together with the other samples it counts as a success, provided that the failure
was reported correctly.

Try:  devstack run failure; echo $?
"""

import sys

from metaflow import FlowSpec, kubernetes, step


class FailureFlow(FlowSpec):
    """Gives up half-way."""

    @step
    def start(self):
        """Succeed on this machine."""
        self.next(self.give_up)

    @kubernetes(cpu=0.2, memory=256, disk=512)
    @step
    def give_up(self):
        """Fail with a message."""
        self.tried = True
        print("the fuel gauge reads 0 litres", file=sys.stderr)
        raise RuntimeError("out of fuel, on purpose")
        self.next(self.end)

    @step
    def end(self):
        """Never run."""


if __name__ == "__main__":
    FailureFlow()
