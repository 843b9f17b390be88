"""docs/kubernetes.md is current, and a new attribute or variable of Metaflow is noticed."""

from __future__ import annotations

import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from devstack.paths import project_file

FILE = project_file("scripts", "generate-kubernetes-reference")
SCRIPT: dict[str, Any] = runpy.run_path(str(FILE))
DECORATOR = Path("plugins", "kubernetes", "kubernetes_decorator.py")


def test_the_page_is_current() -> None:
    argv = [sys.executable, str(FILE), "--check"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def metaflow(tmp_path: Path) -> Path:
    """A copy of the files of Metaflow from which the page is made."""
    installed: Path = SCRIPT["metaflow_folder"]()
    copy = tmp_path / "metaflow"
    (copy / DECORATOR).parent.mkdir(parents=True)
    shutil.copy(installed / DECORATOR, copy / DECORATOR)
    shutil.copy(installed / "metaflow_config.py", copy)
    return copy


def added(metaflow: Path, file: Path, old: str, new: str) -> list[str]:
    """Return what is wrong after a change of Metaflow, and was not before."""
    before = set(SCRIPT["mistakes"](metaflow))
    text = (metaflow / file).read_text()
    assert old in text
    (metaflow / file).write_text(text.replace(old, new, 1))
    return sorted(set(SCRIPT["mistakes"](metaflow)) - before)


def test_a_new_attribute_needs_a_row(metaflow: Path) -> None:
    old = '"executable": None,'
    found = added(metaflow, DECORATOR, old, f'{old} "volume_snapshots": None,')
    assert found == ["no row of the attribute volume_snapshots"]


def test_a_removed_attribute_has_no_row(metaflow: Path) -> None:
    found = added(metaflow, DECORATOR, '"executable": None,', "")
    assert found == ["Metaflow has no attribute executable"]


def test_a_new_key_of_the_security_context_needs_a_row(metaflow: Path) -> None:
    old = "- run_as_user: int"
    found = added(metaflow, DECORATOR, old, f"- read_only: bool\n        {old}")
    assert found == ["no row of the key of security_context read_only"]


@pytest.mark.parametrize(
    "line", ["X = from_conf(\n    'KUBERNETES_NEW', None)", 'os.environ["METAFLOW_KUBERNETES_NEW"]']
)
def test_a_new_variable_needs_a_row(metaflow: Path, line: str) -> None:
    old = "import sys"
    found = added(metaflow, Path("metaflow_config.py"), old, f"{old}\n{line}\n")
    assert found == ["no row of the variable METAFLOW_KUBERNETES_ NEW"]
