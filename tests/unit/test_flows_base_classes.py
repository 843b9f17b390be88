"""Arguments of a flow whose parameters and decorators are those of an imported base class."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from devstack.flows.arguments import parse_arguments
from devstack.flows.source import FlowSource, read_source

BASE = """
from metaflow import FlowSpec, Parameter, project
@project(name="test")
class Base(FlowSpec):
    where = Parameter("environment", default="x")
"""
FLOW = """
{imports}
from metaflow import step
class F({base}):
    count = Parameter("n")
    @step
    def start(self): pass
"""


def read(folder: Path, files: Mapping[str, str]) -> FlowSource:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return read_source(folder / "flow.py")


def flow(imports: str, base: str = "Base") -> str:
    return FLOW.format(imports=imports, base=base)


@pytest.mark.parametrize(
    "files",
    [
        {"flow.py": flow("from base import Base"), "base.py": BASE},
        {"flow.py": flow("from base import Base as B", "B"), "base.py": BASE},
        {"flow.py": flow("from base import *"), "base.py": BASE},
        {"flow.py": flow("import base", "base.Base"), "base.py": BASE},
        {"flow.py": flow("import a.base as b", "b.Base"), "a/base.py": BASE},
        {"flow.py": flow("import a.base", "a.base.Base"), "a/base.py": BASE},
        {"flow.py": flow("from a import base", "base.Base"), "a/base.py": BASE},
        {
            "flow.py": flow("from a import Base"),
            "a/__init__.py": "from .base import Base",
            "a/base.py": BASE,
        },
        {
            "flow.py": flow("from middle import Middle", "Middle"),
            "middle.py": "from a.base import Base\nclass Middle(Base): pass",
            "a/base.py": "from . import other\n" + BASE,
        },
    ],
    ids=lambda files: files["flow.py"].split("\n")[1],
)
def test_parameters_and_decorators_of_base_classes_count(
    tmp_path: Path, files: dict[str, str]
) -> None:
    source = read(tmp_path, files)
    assert source.parameters == {"n", "environment"}
    assert "project" in source.decorators
    assert list(source.steps) == ["start"]
    typed = ["--branch", "b", "run", "--environment", "prod", "--n", "3"]
    assert parse_arguments(source, typed).argv == typed


def test_other_modules_do_not_count(tmp_path: Path) -> None:
    imports = "from metaflow import FlowSpec\nimport base\nfrom base import Base as Other"
    source = read(tmp_path, {"flow.py": flow(imports, "FlowSpec"), "base.py": BASE})
    assert source.parameters == {"n"}
    assert "project" not in source.decorators


@pytest.mark.parametrize("text", ["class Base(:", "\0", "from flow import F\nclass Base(F): pass"])
def test_a_base_class_that_cannot_be_read_is_left_to_python(tmp_path: Path, text: str) -> None:
    source = read(tmp_path, {"flow.py": flow("from base import Base"), "base.py": text})
    assert source.parameters == {"n"}


def test_a_relative_import_above_the_root_is_left_to_python(tmp_path: Path) -> None:
    imports = f"from {'.' * 30} import Base"
    assert read(tmp_path, {"flow.py": flow(imports)}).parameters == {"n"}


def test_the_order_of_arguments_is_one_that_metaflow_accepts(tmp_path: Path) -> None:
    text = (
        "from base import Base\nfrom metaflow import step\nclass F(Base):\n"
        "    @step\n    def start(self): self.next(self.end)\n"
        "    @step\n    def end(self): print('in', self.where)\n"
        "if __name__ == '__main__': F()\n"
    )
    source = read(tmp_path, {"flow.py": text, "base.py": BASE})
    argv = parse_arguments(source, ["--branch", "x", "run", "--environment", "prod"]).argv
    done = subprocess.run(
        [sys.executable, str(source.path), "--metadata", "local", "--datastore", "local", *argv],
        env={"METAFLOW_HOME": str(tmp_path), "METAFLOW_USER": "ann", "PATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "in prod" in done.stdout, done.stdout + done.stderr
