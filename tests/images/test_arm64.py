"""Every Go program can be built for arm64, as far as seconds suffice to find out."""

from __future__ import annotations

import subprocess
import sys

from devstack.paths import project_file


def test_every_program_has_sources_for_arm64() -> None:
    script = project_file("scripts", "check-arm64")
    argv = [sys.executable, str(script), "--quick"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "✓ packages of MinIO" in done.stdout
