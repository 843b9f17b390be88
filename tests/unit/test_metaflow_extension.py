"""Where devstack's Metaflow extension is active, and what of it gets into code packages."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from devstack.client_files import EXTENSION_FOLDER
from tests.support.metaflow_extension import FakeDevstack

PROVIDERS = """
from metaflow.plugins import DEPLOYER_IMPL_PROVIDERS
found = {each.TYPE: each.__module__ for each in DEPLOYER_IMPL_PROVIDERS}
"""
PROJECT = EXTENSION_FOLDER.parent.parent
OURS = "metaflow_extensions.devstack.plugins.airflow_deployer"

OWN_DEPLOYER = """
from metaflow.runner.deployer_impl import DeployerImpl
class OwnDeployer(DeployerImpl):
    TYPE = "airflow"
"""
LATER_METAFLOW = """
# A Metaflow that has a deployer for Airflow: one entry more in its list of plug-ins.
import sys
from importlib.machinery import PathFinder, SourceFileLoader

class Loader(SourceFileLoader):
    def get_code(self, fullname):
        text = self.get_source(fullname)
        start = "DEPLOYER_IMPL_PROVIDERS_DESC = ["
        assert text.count(start) == 1
        text = text.replace(start, start + '("airflow", "own.OwnDeployer"),')
        return compile(text, self.path, "exec")

class Finder(PathFinder):
    @classmethod
    def find_spec(cls, fullname, path=None, target=None):
        spec = super().find_spec(fullname, path, target)
        if fullname == "metaflow.plugins":
            spec.loader = Loader(fullname, spec.origin)
        return spec

sys.meta_path.insert(0, Finder)
"""
FLOW = """
from metaflow import FlowSpec, step
class MyFlow(FlowSpec):
    @step
    def start(self):
        self.next(self.end)
    @step
    def end(self):
        pass
if __name__ == "__main__":
    MyFlow()
"""


@pytest.fixture
def devstack(tmp_path: Path) -> FakeDevstack:
    return FakeDevstack(tmp_path)


def test_metaflow_has_a_deployer_for_airflow_in_a_stack(devstack: FakeDevstack) -> None:
    program = f"""
    {PROVIDERS.strip().splitlines()[0]}
    found = [{{each.TYPE: each.__module__ for each in DEPLOYER_IMPL_PROVIDERS}},
             hasattr(Deployer, "airflow"), hasattr(DeployedFlow, "from_airflow")]
    """
    providers, *methods = devstack.run(program)
    assert providers["airflow"] == OURS
    assert {"argo-workflows", "step-functions"} <= providers.keys()
    assert methods == [True, True]


@pytest.mark.parametrize(
    "variables",
    [{"DEVSTACK_EXECUTABLE": ""}, {"METAFLOW_PROFILE": ""}, {"PYTHONPATH": ""}],
    ids=lambda each: next(iter(each)),
)
def test_outside_of_a_stacks_environment_it_is_inactive(
    devstack: FakeDevstack, variables: dict[str, str]
) -> None:
    assert "airflow" not in devstack.run(PROVIDERS, **variables)


def test_metaflows_own_deployer_for_airflow_has_precedence(
    devstack: FakeDevstack, tmp_path: Path
) -> None:
    (tmp_path / "own.py").write_text(OWN_DEPLOYER)
    (tmp_path / "sitecustomize.py").write_text(LATER_METAFLOW)
    found = devstack.run(PROVIDERS, PYTHONPATH=f"{tmp_path}{os.pathsep}{EXTENSION_FOLDER}")
    assert found["airflow"] == "own"


def test_the_users_own_extensions_are_kept(devstack: FakeDevstack, tmp_path: Path) -> None:
    plugins = tmp_path / "company" / "metaflow_extensions" / "company" / "plugins"
    plugins.mkdir(parents=True)
    text = 'DEPLOYER_IMPL_PROVIDERS_DESC = [("own", ".own.OwnDeployer")]\n'
    (plugins / "__init__.py").write_text(text)
    (plugins / "own.py").write_text(OWN_DEPLOYER.replace("airflow", "own"))
    path = os.pathsep.join([str(tmp_path / "company"), str(EXTENSION_FOLDER)])
    found = devstack.run(PROVIDERS, PYTHONPATH=path, METAFLOW_EXTENSIONS_SEARCH_DIRS=path)
    assert found["own"] == "metaflow_extensions.company.plugins.own"
    assert found["airflow"] == OURS


def test_a_pod_gets_no_module_of_it_and_metaflow_works_there(
    devstack: FakeDevstack, tmp_path: Path
) -> None:
    (tmp_path / "my_flow.py").write_text(FLOW)
    done = devstack.python(["my_flow.py", "--no-pylint", "package", "save", "job.tar"])
    assert done.returncode == 0, done.stdout + done.stderr
    with tarfile.open(tmp_path / "job.tar") as package:
        assert [name for name in package.getnames() if "metaflow_extensions/devstack" in name] == []
        package.extractall(tmp_path / "pod", filter="data")
    # As Metaflow starts a task in a pod.
    pod = {
        "PATH": os.defpath,
        "HOME": str(tmp_path),
        "METAFLOW_USER": "tester",
        "PYTHONPATH": str(tmp_path / "pod" / ".mf_code"),
        "METAFLOW_EXTRACTED_ROOT": str(tmp_path / "pod"),
    }
    program = f"{PROVIDERS}\nimport metaflow\nprint(metaflow.__file__, 'airflow' in found)"
    shown = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path / "pod",
        env=pod,
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.stderr == ""
    assert shown.stdout.split() == [f"{tmp_path}/pod/.mf_code/metaflow/__init__.py", "False"]


def test_it_needs_the_standard_library_and_metaflow_only() -> None:
    files = list(EXTENSION_FOLDER.rglob("*.py"))
    assert len(files) > 5
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text()))]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    # A relative import stays in the extension.
    froms = [node for node in nodes if isinstance(node, ast.ImportFrom) and not node.level]
    packages = {name.partition(".")[0] for name in [*names, *(str(each.module) for each in froms)]}
    assert packages - set(sys.stdlib_module_names) == {"metaflow"}


def test_an_error_of_the_real_devstack_reaches_the_user(
    devstack: FakeDevstack, tmp_path: Path
) -> None:
    command = f'exec env PYTHONPATH="{PROJECT}" "{sys.executable}" -m devstack "$@"'
    (tmp_path / "devstack").write_text(f"#!/bin/sh\n{command}\n")
    (tmp_path / "my_flow.py").write_text(FLOW)
    program = """
    found = []
    for call in (lambda: Deployer("my_flow.py", decospecs=["retry"]).airflow().create(),
                 lambda: list(DeployedFlow.list_deployed_flows()),
                 lambda: DeployedFlow.get_triggered_run("MyFlow", "airflow-0")):
        try:
            call()
        except Exception as error:
            found.append([type(error).__name__, error.code, error.remedy])
    """
    found = devstack.run(program, DEVSTACK_HOME=str(tmp_path / "none"), DEVSTACK_NAME="none")
    assert [each[:2] for each in found] == [["DevstackCommandError", "STACK_DOWN"]] * 3
    assert "devstack up" in found[0][2]
