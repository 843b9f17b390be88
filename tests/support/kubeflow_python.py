"""A Python with metaflow-kubeflow and kfp, which devstack's own environment does not have."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LOCK = Path(__file__).parents[1] / "kubeflow" / "requirements.lock"
INSTALL_SECONDS = 900


def create_kubeflow_python(folder: Path) -> Path:
    """Return the interpreter of a new virtual environment with the packages of LOCK.

    Args:
        folder: an empty folder for the environment.
    """
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=300)
    python = folder / "bin" / "python"
    subprocess.run(
        [
            str(python),
            *("-m", "pip", "install", "--quiet", "--require-hashes", "--requirement", str(LOCK)),
        ],
        check=True,
        timeout=INSTALL_SECONDS,
    )
    return python
