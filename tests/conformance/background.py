"""A program that runs in the background of tests."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def running(argv: Sequence[str], log: Path) -> Iterator[None]:
    """Run a program while the context is open; its output goes to ``log``."""
    with log.open("w") as output:
        process = subprocess.Popen(list(argv), stdout=output, stderr=subprocess.STDOUT)
        try:
            yield
        finally:
            process.terminate()
            process.wait()
