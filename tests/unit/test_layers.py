from __future__ import annotations

import subprocess
import sys

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

from devstack.paths import project_file

HEAVY = ["boto3", "docker", "kubernetes", "metaflow", "minio", "requests", "rich"]


def test_imports_keep_their_contracts(capsys: pytest.CaptureFixture[str]) -> None:
    status = lint_imports(config_filename=str(project_file("pyproject.toml")), no_cache=True)
    assert status == EXIT_STATUS_SUCCESS, capsys.readouterr().out


@pytest.fixture(scope="module")
def imported() -> set[str]:
    """Return the modules that starting the command line imports."""
    program = "import sys, devstack.cli.main; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    return set(done.stdout.decode().split())


@pytest.mark.parametrize("library", HEAVY)
def test_the_command_line_starts_without_heavy_libraries(imported: set[str], library: str) -> None:
    assert library not in imported
