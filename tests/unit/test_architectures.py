"""One place knows the names of architectures: nothing else is for one of them only."""

from __future__ import annotations

import platform
import re
import subprocess
from pathlib import Path

import pytest

from devstack.errors import DevstackError
from devstack.images.artifact_cache import ArtifactCache
from devstack.images.debian import RootFileSystem
from devstack.images.golang import go_environment
from devstack.images.machine import architecture, machine_name
from devstack.images.programs import PROGRAMS, client_program

PROJECT = Path(__file__).parents[2]
FOLDERS = ("devstack", "k8s", "scripts", ".ci", "compose.yaml", "Tiltfile", "pyproject.toml")

NAMES = re.compile(
    r"(?<![A-Za-z])(amd64|x86[-_]64|x64|i[36]86|aarch64|arm64|armv?[78]\w*|linux-64)(?![A-Za-z0-9])"
)

EXCEPTIONS = {
    "devstack/images/machine.py": "The one place that maps them.",
    "devstack/containers/node-agent/imds/server.go": "The names of EC2, by Go's own.",
    "devstack/containers/task/rootfs/usr/local/bin/micromamba": "The names of conda; it runs in "
    "pods, without devstack.",
    "devstack/images/upstream.toml": "The digest of each platform of an upstream image.",
    "scripts/upstream_images.py": "The platforms that published images must have.",
    "scripts/check-arm64": "It checks the other architecture.",
    "scripts/lock": "uv resolves Airflow's lock for one platform; scripts/check-arm64 checks the "
    "wheels of the other.",
}
"""Files that may name architectures, and why."""


def sources() -> list[str]:
    argv = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *FOLDERS]
    listed = subprocess.run(argv, cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    # Checksums and versions of modules; hashes of wheels.
    generated = (".lock", "go.sum", "go.mod")
    return [name for name in listed.splitlines() if not name.endswith(generated)]


def naming() -> dict[str, list[str]]:
    """Return the lines that name an architecture, by file."""
    found = {}
    for name in sources():
        try:
            lines = (PROJECT / name).read_text().splitlines()
        except (UnicodeDecodeError, FileNotFoundError):
            continue
        if named := [line.strip() for line in lines if NAMES.search(line)]:
            found[name] = named
    return found


def test_no_recipe_manifest_or_script_is_for_one_architecture_only() -> None:
    assert {name: lines for name, lines in naming().items() if name not in EXCEPTIONS} == {}


def test_every_exception_is_needed() -> None:
    present = {name for name in EXCEPTIONS if (PROJECT / name).exists()}
    assert present <= naming().keys()


@pytest.mark.parametrize(
    ("machine", "expected"),
    [("x86_64", "amd64"), ("AMD64", "amd64"), ("aarch64", "arm64"), ("arm64", "arm64")],
)
def test_what_is_built_is_for_this_machines_architecture(
    monkeypatch: pytest.MonkeyPatch, machine: str, expected: str
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert architecture() == expected
    assert machine_name() == {"amd64": "x86_64", "arm64": "aarch64"}[expected]
    command = RootFileSystem("xcom", ("busybox-static",)).command(Path("x.tar"), architecture())
    assert f"--architectures={expected}" in command


def test_programs_and_packages_are_kept_by_architecture(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = []
    for machine in ("x86_64", "aarch64"):
        monkeypatch.setattr(platform, "machine", lambda machine=machine: machine)
        keys.append([*(each.key for each in PROGRAMS.values()), RootFileSystem("a", ("b",)).key])
    assert set(keys[0]).isdisjoint(keys[1])


def test_another_architecture_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(DevstackError, match="cannot build images for riscv64"):
        architecture()


def test_clients_are_for_this_machines_operating_system(monkeypatch: pytest.MonkeyPatch) -> None:
    of_nodes = PROGRAMS["kubectl"]
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    assert client_program("kubectl") == of_nodes
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    client = client_program("kubectl")
    # The cache keeps one program of each name.
    assert (client.name, client.system) == ("kubectl-darwin", "darwin")
    assert (client.output, client.package) == (of_nodes.output, of_nodes.package)
    assert go_environment(ArtifactCache(), client.system)["GOOS"] == "darwin"
    assert go_environment(ArtifactCache())["GOOS"] == "linux"
