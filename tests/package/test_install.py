"""The built wheel, installed by pipx and uv in an empty HOME, and a stack that it brings up."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from devstack.paths import project_file
from devstack.version import devstack_version
from tests.package.conftest import PROGRAMS, Account
from tests.support.tilt import Tilt

PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
SERVICES_OFF = ("--without", "airflow", "--without", "metadata", "--without", "postgres")


def install_by_uv(account: Account, wheel: Path) -> None:
    uv = str(PROGRAMS / "uv")
    account.run(uv, "tool", "install", "--quiet", "--python", sys.executable, str(wheel))


def install_by_pipx(account: Account, wheel: Path) -> None:
    pipx = [sys.executable, "-m", "pipx"]
    account.run(*pipx, "install", "--quiet", "--python", sys.executable, str(wheel))


@pytest.mark.parametrize("install", [install_by_uv, install_by_pipx])
def test_the_installed_command_is_complete(install: object, account: Account, wheel: Path) -> None:
    assert callable(install)
    install(account, wheel)
    shown = json.loads(account.run("devstack", "--version", "--json").stdout)["data"]
    assert shown["devstack"] == devstack_version()
    assert_no_checkout(account, Path(shown["executable"]))
    paths = json.loads(account.run("devstack", "paths", "--json").stdout)["data"]["paths"]
    assert_files_work(account, {name: Path(path) for name, path in paths.items()})
    assert_docker_is_explained(account)
    # The same images as those of the clone: nothing is built a second time.
    assert images(account) == images_of_clone(account)


def assert_no_checkout(account: Account, python: Path) -> None:
    """Fail if devstack comes from anywhere but the user's HOME."""
    assert python.is_relative_to(account.home)
    program = "import devstack, sys; print(devstack.__file__, *sys.path, sep='\\n')"
    package, *path = account.run(str(python), "-c", program).stdout.splitlines()
    assert Path(package).is_relative_to(account.home)
    assert str(project_file().resolve()) not in path


def assert_files_work(account: Account, paths: dict[str, Path]) -> None:
    """Fail if Tilt and Compose could not use the installed files."""
    for name in ("tiltfile", "compose", "manifests", "samples"):
        assert paths[name].is_relative_to(account.home), name
    tilt = Tilt("kind-devstack-devstack").run(paths["tiltfile"])
    assert "k8s/minio" in tilt.folders
    assert tilt.objects
    assert paths["compose"].read_text() == project_file("compose.yaml").read_text()
    assert paths["state"] == account.home / ".local" / "state" / "devstack"


def assert_docker_is_explained(account: Account) -> None:
    """Fail if the next step without Docker needs a clone."""
    command = str(account.home / ".local" / "bin" / "devstack")
    without = Account(account.home, account.folder, {**account.environment, "PATH": "/nowhere"})
    done = without.run(command, "up", "--json", check=False)
    error = json.loads(done.stdout)["error"]
    assert error["code"] == "DOCKER_MISSING"
    (script,) = re.findall(r"`(\S+/prepare-docker)`", error["remedy"])
    assert Path(script).is_relative_to(account.home)
    account.run(script, "--no-install")  # Docker runs, so this changes nothing


def images(account: Account) -> dict[str, str]:
    """Return the state of each image, as the installed devstack sees it."""
    listed = json.loads(account.run("devstack", "images", "list", "--json").stdout)
    return {row["name"]: row["source"] for row in listed["data"]["images"]}


def images_of_clone(account: Account) -> dict[str, str]:
    """Return the same, as this clone sees it."""
    argv = [sys.executable, "-m", "devstack", "images", "list", "--json"]
    done = subprocess.run(
        argv,
        cwd=project_file(),
        env=account.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return {row["name"]: row["source"] for row in json.loads(done.stdout)["data"]["images"]}


@pytest.mark.docker
@pytest.mark.kind
def test_a_stack_of_the_installed_command_leaves_only_the_documented_folders(
    account: Account, wheel: Path
) -> None:
    install_by_uv(account, wheel)
    installed = account.files()
    account.environment["DEVSTACK_NAME"] = "wheel"
    try:
        account.run("devstack", "up", *SERVICES_OFF, "--timeout", "600", timeout=900)
        ran = account.run("devstack", "run", "hello")
        assert "hello" in ran.stdout
    finally:
        account.run("devstack", "down")
    # What `down` leaves: nothing in the working directory, no stack in the state.
    assert os.listdir(account.folder) == []
    left = {file for file in account.files() - installed if "__pycache__" not in file}
    assert left == set()


def installed_pythons() -> dict[str, str]:
    """Return the interpreters of this machine that devstack supports, by minor version."""
    argv = [str(PROGRAMS / "uv"), "python", "list", "--only-installed", "--output-format", "json"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    found: dict[str, str] = {}
    for each in json.loads(done.stdout):
        minor = "{major}.{minor}".format(**each["version_parts"])
        if minor in PYTHONS and each["path"]:
            found.setdefault(minor, str(each["path"]))
    return found


def test_the_wheel_runs_on_every_python_of_this_machine(account: Account, wheel: Path) -> None:
    uv = str(PROGRAMS / "uv")
    for minor, python in installed_pythons().items():
        account.run(uv, "tool", "install", "--quiet", "--force", "--python", python, str(wheel))
        shown = json.loads(account.run("devstack", "--version", "--json").stdout)["data"]
        assert shown["components"]["Python"].startswith(f"{minor}.")
        account.run("devstack", "up", "--dry-run", *SERVICES_OFF)


def test_what_is_installed_exists_for_the_pythons_that_this_machine_lacks(
    account: Account, wheel: Path
) -> None:
    """Resolve without building anything: a version without wheels needs a compiler."""
    requirement = account.folder / "requirements.in"
    requirement.write_text(f"metaflow-devstack @ {wheel.as_uri()}\n")
    resolve = [str(PROGRAMS / "uv"), "pip", "compile", "--quiet", "--only-binary", ":all:"]
    for version in sorted(set(PYTHONS) - installed_pythons().keys()):
        argv = [*resolve, "--python-version", version, str(requirement)]
        assert "kubernetes==36." in account.run(*argv).stdout
