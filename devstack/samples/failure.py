"""Failure: a flow that fails on purpose, to show what that looks like.

A step that raises an exception, or ends with a status other than 0, fails its
task; without ``@retry`` or ``@catch`` that fails the run.  "devstack run" then
ends with status 5 and shows the end of the pod's log, where the reason stands.

Run together with the other samples it counts as a success, provided that the
failure was reported as it should be.

Try:  devstack run failure; echo $?
"""

import sys

from metaflow import FlowSpec, kubernetes, step


class FailureFlow(FlowSpec):
    """Gives up half-way."""

    @step
    def start(self):
        """All is well so far."""
        self.next(self.give_up)

    @kubernetes(cpu=0.2, memory=256, disk=512)
    @step
    def give_up(self):
        """Fail, and say why."""
        self.tried = True
        print("the fuel gauge reads 0 litres", file=sys.stderr)
        raise RuntimeError("out of fuel, on purpose")
        self.next(self.end)

    @step
    def end(self):
        """Nobody comes here."""


if __name__ == "__main__":
    FailureFlow()
