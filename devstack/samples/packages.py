"""Packages: a step that imports what its project's uv.lock names.

With ``--environment=uv``, Metaflow ships pyproject.toml and uv.lock with the code, and each
pod installs the project's packages with uv before its step starts.  The wheels are kept in
the stack: the first pod downloads them, those after it copy them.  The task image has no
``humanize``, and neither needs this machine.

Try:  devstack run packages
      cd your_project && devstack run flow.py -- --environment=uv
"""

import os

from metaflow import FlowSpec, kubernetes, step


class PackagesFlow(FlowSpec):
    """Formats numbers with a package that is installed in the pod."""

    @step
    def start(self):
        """Choose the numbers, on this machine."""
        self.seconds = [90, 5400]
        self.next(self.describe)

    @kubernetes(cpu=0.2, memory=512, disk=1024)
    @step
    def describe(self):
        """Import the package, and note where it came from."""
        import humanize

        self.texts = [humanize.precisedelta(seconds) for seconds in self.seconds]
        self.module = humanize.__file__
        self.version = humanize.__version__
        cache = os.environ.get("UV_CACHE_DIR", "")
        self.cached = os.path.isdir(cache) and bool(os.listdir(cache))
        print(f"humanize {self.version} says: {' and '.join(self.texts)}")
        self.next(self.end)

    @step
    def end(self):
        """Print on this machine what the pod stored."""
        print(f"The pod said: {' and '.join(self.texts)}")


if __name__ == "__main__":
    PackagesFlow()
