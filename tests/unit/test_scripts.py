from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from devstack.paths import project_file

BASH = [
    path
    for path in [*project_file("scripts").iterdir(), project_file(".ci", "run")]
    if path.is_file() and path.read_text().startswith("#!/usr/bin/env bash")
]


def run(
    *argv: str, cwd: Path, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    script = str(project_file("scripts", argv[0]))
    return subprocess.run(
        [script, *argv[1:]],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("script", BASH, ids=lambda path: path.name)
def test_a_script_is_executable_and_stops_at_the_first_error(script: Path) -> None:
    assert os.access(script, os.X_OK)
    assert "set -euo pipefail" in script.read_text().splitlines()


def user_settings(folder: Path) -> dict[str, str]:
    """Return variables that users export from their profiles and that change what bash does."""
    profile = folder / "profile"
    profile.write_text("export CDPATH=.:$HOME\n")
    return {
        # `cd` searches these first, and prints the folder that it found.
        "CDPATH": f"{project_file('scripts').parent}:.:{folder}",
        "BASH_ENV": str(profile),
        "ENV": str(profile),
        "IFS": "/e",
        "GLOBIGNORE": "*",
        "EXECIGNORE": "*",
        "GREP_OPTIONS": "--invert-match",
        "TAR_OPTIONS": "--no-such-option",
        "PYTHONSAFEPATH": "1",
        "PIP_USER": "1",
        "PIP_ONLY_BINARY": ":none:",
        "PIP_REQUIRE_VIRTUALENV": "1",
        "PIP_TARGET": str(folder / "target"),
        "PYTHONPATH": str(folder / "path"),
    }


@pytest.mark.parametrize("script", BASH, ids=lambda path: path.name)
def test_a_script_unsets_what_changes_cd_grep_and_tar(script: Path, tmp_path: Path) -> None:
    lines = script.read_text().splitlines()
    start = lines[: lines.index("set -euo pipefail") + 2]
    assert start[-1].startswith("unset ")
    names = lines[len(start) - 1].split()[1:]
    assert {"CDPATH", "BASH_ENV", "GLOBIGNORE", "GREP_OPTIONS", "PYTHONSAFEPATH"} <= set(names)
    values = "".join(f"${{{name}-}}" for name in names)
    probe = f'(cd scripts) && echo "{values}"'
    done = subprocess.run(
        ["bash", "-c", "\n".join([*start, probe])],
        cwd=project_file("scripts").parent,
        env={**os.environ, **user_settings(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "\n"


@pytest.mark.parametrize("folder", [".", "scripts"])
def test_scripts_called_by_a_relative_path_ignore_the_users_settings(
    folder: str, tmp_path: Path
) -> None:
    project = project_file("scripts").parent
    prefix = "scripts/" if folder == "." else ""
    for argv in (
        ["environment", "--test"],
        ["demo", "--help"],
    ):
        done = subprocess.run(
            ["bash", prefix + argv[0], *argv[1:]],
            cwd=project / folder,
            env={**os.environ, **user_settings(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        if argv[0] == "environment":
            assert done.stdout == f"{project}/.venv/bin\n"
    assert not (tmp_path / "target").exists()


def test_the_demo_prints_its_usage(tmp_path: Path) -> None:
    shown = run("demo", "--help", cwd=tmp_path)
    assert shown.returncode == 0
    for option in ("--name NAME", "--no-install"):
        assert option in shown.stdout


def test_the_demo_rejects_unknown_options(tmp_path: Path) -> None:
    refused = run("demo", "--nmae", "x", cwd=tmp_path)
    assert refused.returncode == 2
    assert "--name NAME" in refused.stderr


def test_the_environment_is_found_from_any_folder(tmp_path: Path) -> None:
    found = run("environment", "--test", cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    assert Path(found.stdout.strip(), "devstack").exists()


@pytest.fixture
def machine_without_shells(tmp_path: Path) -> Path:
    """A folder for PATH, as root, without what is installed for tests; apt-get records calls."""
    folder = tmp_path / "bin"
    folder.mkdir()
    left_out = {"zsh", "fish", "podman", "apt-get", "id"}
    for path in os.environ["PATH"].split(os.pathsep):
        for program in Path(path).iterdir() if Path(path).is_dir() else ():
            if program.name not in left_out and not (folder / program.name).is_symlink():
                (folder / program.name).symlink_to(program)
    for name, body in (("id", "echo 0"), ("apt-get", f'echo "$*" >>"{tmp_path}/installed"')):
        (folder / name).write_text(f"#!/bin/bash\n{body}\n")
        (folder / name).chmod(0o755)
    return folder


@pytest.mark.parametrize(
    ("argv", "variable", "installed"),
    [
        ([], "", ["zsh", "fish"]),
        (["--with-podman"], "", ["zsh", "fish", "podman"]),
        (["--no-install"], "", []),
        (["--with-podman", "--no-install"], "", []),
        (["--with-podman"], "1", []),
    ],
)
def test_programs_for_tests_are_installed_unless_that_is_refused(
    machine_without_shells: Path, argv: list[str], variable: str, installed: list[str]
) -> None:
    env = {"PATH": str(machine_without_shells), "DEVSTACK_NO_INSTALL": variable}
    done = run("test", *argv, "tests/unit", "--version", cwd=Path.cwd(), env=env)
    assert done.returncode == 0, done.stderr
    calls = machine_without_shells.parent / "installed"
    text = calls.read_text() if calls.exists() else ""
    assert [name for name in ("zsh", "fish", "podman") if f" {name}" in text] == installed
    assert ("DEVSTACK_NO_INSTALL=1" in done.stderr) is bool(installed)


@pytest.mark.parametrize(
    ("argv", "missing"),
    [([], "3.10 3.14 3.13 3.12 3.11"), (["--without", "3.11"], "3.10 3.14 3.13 3.12")],
)
def test_pythons_that_are_not_installed_are_named(
    tmp_path: Path, argv: list[str], missing: str
) -> None:
    for program in ("bash", "dirname"):
        found = shutil.which(program)
        assert found
        (tmp_path / program).symlink_to(found)
    done = subprocess.run(
        [str(project_file("scripts", "test-pythons")), *argv],
        env={"PATH": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert (
        f"passed on none; failed on none; not installed: {missing}; no time left for: none\n"
        in done.stdout
    )
