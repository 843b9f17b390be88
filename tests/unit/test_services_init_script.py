"""The init script of task pods: Metaflow's packages, and the cache of uv and pip."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from devstack.services.init_script import INIT_SCRIPT

CACHE_VARIABLES = (
    "DEVSTACK_PACKAGE_CACHE",
    "UV_CACHE_DIR",
    "UV_LINK_MODE",
    "UV_PYTHON_INSTALL_DIR",
    "PIP_CACHE_DIR",
)


@pytest.fixture
def start(tmp_path: Path) -> Callable[[dict[str, str]], subprocess.CompletedProcess[str]]:
    """What a task pod does before all else, with fakes of the programs in its image."""

    def act(programs: dict[str, str]) -> subprocess.CompletedProcess[str]:
        for name, script in programs.items():
            (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
            (tmp_path / name).chmod(0o755)
        # As Metaflow starts it: kubernetes.py, Kubernetes._command.
        command = (
            '${METAFLOW_INIT_SCRIPT:+eval "${METAFLOW_INIT_SCRIPT}"}'
            " && echo skip=$METAFLOW_SKIP_INSTALL_DEPENDENCIES"
        )
        return subprocess.run(
            [shutil.which("bash") or "bash", "-c", command],
            env={"PATH": str(tmp_path), "METAFLOW_INIT_SCRIPT": INIT_SCRIPT},
            capture_output=True,
            text=True,
            check=False,
        )

    return act


def test_an_image_with_boto3_and_requests_installs_nothing(start: Any) -> None:
    done = start({"python": 'test "$1" = -c'})
    assert (done.returncode, done.stdout, done.stderr) == (0, "skip=1\n", "")


def test_an_image_without_boto3_installs_it(start: Any) -> None:
    done = start({"python": 'test "$1" = -m && echo "$@" >&2'})
    assert done.returncode == 0
    assert done.stderr.startswith("-m pip install")
    assert "boto3 requests" in done.stderr
    assert done.stdout.endswith("skip=1\n")


def test_an_image_that_can_get_no_boto3_says_so(start: Any) -> None:
    done = start({"python": 'test "$1" = -c || echo "ERROR: no index" >&2; exit 1'})
    assert (done.returncode, done.stderr) == (1, "ERROR: no index\n")
    assert done.stdout.splitlines()[-1] == (
        "devstack: the image lacks boto3 or requests, and pip cannot install them"
    )


def test_an_image_without_python_says_so(start: Any) -> None:
    done = start({})
    assert done.returncode == 1
    assert done.stdout.startswith("devstack: the image has no python on PATH")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """The folder of an image, in which each user has one."""
    folder = tmp_path / "cache"
    folder.mkdir()
    return folder


@pytest.fixture(params=["bash", "dash"])
def variables(
    request: pytest.FixtureRequest, tmp_path: Path, cache: Path
) -> Callable[..., dict[str, str]]:
    """What the processes of a task find in their environment of the cache."""
    shell = shutil.which(request.param) or shutil.which("sh") or "sh"

    def act(image: Mapping[str, str] | None = None, **changes: str) -> dict[str, str]:
        for name in ("env", "id", "mkdir"):
            (tmp_path / name).unlink(missing_ok=True)
            (tmp_path / name).symlink_to(shutil.which(name) or name)
        (tmp_path / "python").write_text("#!/bin/sh\n")
        (tmp_path / "python").chmod(0o755)
        done = subprocess.run(
            [shell, "-c", 'eval "${METAFLOW_INIT_SCRIPT}" && env'],
            env={
                "PATH": str(tmp_path),
                "HOME": str(tmp_path),
                "METAFLOW_INIT_SCRIPT": INIT_SCRIPT,
                "DEVSTACK_PACKAGE_CACHE": str(cache),
                **(image or {}),
                **changes,
            },
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr == ""
        found = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
        return {name: found[name] for name in CACHE_VARIABLES if name in found}

    return act


def test_each_user_has_a_cache_of_its_own(variables: Any, cache: Path) -> None:
    own = cache / str(os.getuid())
    assert variables() == {
        "DEVSTACK_PACKAGE_CACHE": str(own),
        "UV_CACHE_DIR": str(own / "uv"),
        "UV_LINK_MODE": "copy",
        "UV_PYTHON_INSTALL_DIR": str(own / "uv-python"),
        "PIP_CACHE_DIR": str(own / "pip"),
    }
    assert own.is_dir()


def test_the_user_is_that_of_the_process_and_not_a_variable_of_the_image(
    variables: Any, cache: Path
) -> None:
    command = ["env", "UID=4711", "bash", "-c", "echo $UID"]
    reported = subprocess.run(command, capture_output=True, text=True, check=True)
    assert reported.stdout == "4711\n"
    found = variables({"UID": "4711", "EUID": "4711"})
    assert found["DEVSTACK_PACKAGE_CACHE"] == str(cache / str(os.getuid()))


def test_folders_that_an_image_or_a_step_names_stay(variables: Any) -> None:
    own = {"UV_CACHE_DIR": "/opt/uv", "UV_PYTHON_INSTALL_DIR": "/opt/python", "PIP_CACHE_DIR": "/p"}
    found = variables(own)
    assert {name: found[name] for name in own} == own
    # A cache on the image's own file system can be linked.
    assert "UV_LINK_MODE" not in found
    assert variables({"UV_LINK_MODE": "symlink"})["UV_LINK_MODE"] == "symlink"


def test_pythons_that_uv_installed_in_the_image_stay_in_use(variables: Any, tmp_path: Path) -> None:
    (tmp_path / ".local/share/uv/python").mkdir(parents=True)
    found = variables()
    assert "UV_PYTHON_INSTALL_DIR" not in found
    assert "UV_CACHE_DIR" in found


def test_without_the_volume_no_cache_is_named(variables: Any, tmp_path: Path) -> None:
    assert variables(DEVSTACK_PACKAGE_CACHE=str(tmp_path / "nosuch")) == {}
    assert not (tmp_path / "nosuch").exists()
    assert variables(DEVSTACK_PACKAGE_CACHE="") == {}


def test_a_folder_of_another_user_is_not_used(variables: Any, cache: Path) -> None:
    if os.getuid() == 0:
        own = cache / "0"
        own.mkdir()
        os.chown(own, 4711, 4711)
    else:
        cache.chmod(0o555)
    assert variables() == {}
