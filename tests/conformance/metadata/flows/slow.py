"""Runs until a file exists, so that a test can act during the run."""

import time
from pathlib import Path

from metaflow import FlowSpec, Parameter, step


class SlowFlow(FlowSpec):
    """Reports that it has started, and waits for the file."""

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
