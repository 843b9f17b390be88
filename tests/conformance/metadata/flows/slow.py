"""Runs for as long as a file is not there, so that a test can do something meanwhile."""

import time
from pathlib import Path

from metaflow import FlowSpec, Parameter, step


class SlowFlow(FlowSpec):
    """Says that it has begun, and waits for leave to end."""

    folder = Parameter("folder", required=True)

    @step
    def start(self):
        folder = Path(self.folder)
        (folder / "begun").touch()
        while not (folder / "go").exists():
            time.sleep(0.1)
        self.answer = 42
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    SlowFlow()
