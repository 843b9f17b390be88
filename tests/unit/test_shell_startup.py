"""`devstack shell` keeps the stack's variables regardless of the user's startup files."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from devstack.cli.main import run
from devstack.cli.output import Output
from devstack.client_files import EXTENSION_FOLDER, with_extension
from devstack.environment import build_environment
from devstack.lifecycle.up import up
from devstack.shell_startup import (
    changed_by_startup,
    export_command,
    is_plain_shell,
    start_shell,
    startup_options,
)
from devstack.stack import Stack
from tests.fakes.stack import World

SPECIAL_CHARACTERS = 'it\'s a \\ "$HOME" `id` {x} é'
EXPORTS = """\
export AWS_PROFILE=company AWS_CREDENTIAL_EXPIRATION=2020-01-01T00:00:00Z METAFLOW_PROFILE=company
export METAFLOW_DATASTORE=local METAFLOW_KUBERNETES_NODE_SELECTOR=pool=gpu KUBECONFIG=/company
export METAFLOW_DEFAULT_DECOSPECS=retry COMPANY=kept AWS_ENDPOINT_URL_SQS=http://queue
"""
FISH_EXPORTS = """\
set -gx AWS_PROFILE company
set -gx METAFLOW_PROFILE company
set -gx METAFLOW_DATASTORE local
set -gx METAFLOW_KUBERNETES_NODE_SELECTOR pool=gpu
set -gx KUBECONFIG /company
set -gx METAFLOW_DEFAULT_DECOSPECS retry
set -gx COMPANY kept
set -gx AWS_ENDPOINT_URL_SQS http://queue
"""


@pytest.fixture
def stack(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    user = tmp_path / "user"
    user.mkdir()
    monkeypatch.setenv("HOME", str(user))
    for name in ("ZDOTDIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "ENV", "BASH_ENV"):
        monkeypatch.delenv(name, raising=False)
    up(world.open())
    return world.open()


def installed(shell: str) -> str:
    """Return the path of a shell; skip the test if this machine lacks it."""
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"{shell} is not installed")
    return path


def variables(stack: Stack, shell: str, *options: str) -> dict[str, str]:
    """Return the environment of a program that is started in the shell."""
    ours = {**build_environment(stack), "SPECIAL_CHARACTERS": SPECIAL_CHARACTERS}
    start = start_shell(stack, shell, ours)
    done = subprocess.run(
        [*start.argv, "-i", *options],
        env={**os.environ, **ours, **start.variables},
        input="echo BEGIN; env -0; exit\n",
        capture_output=True,
        text=True,
        timeout=30,
        start_new_session=True,
        check=True,
    )
    block = done.stdout.split("BEGIN\n", 1)[1]
    return dict(each.split("=", 1) for each in block.split("\0") if "=" in each)


def check(stack: Stack, environment: dict[str, str]) -> None:
    """Check that the program gets the stack's variables, and the user's that are kept."""
    ours = {**build_environment(stack), "SPECIAL_CHARACTERS": SPECIAL_CHARACTERS}
    assert {name: environment.get(name) for name in ours} == ours
    for name in ("AWS_PROFILE", "METAFLOW_DATASTORE", "METAFLOW_KUBERNETES_NODE_SELECTOR"):
        assert name not in environment
    assert "AWS_CREDENTIAL_EXPIRATION" not in environment
    assert environment["COMPANY"] == "kept"
    assert environment["METAFLOW_DEFAULT_DECOSPECS"] == "retry"
    assert environment["AWS_ENDPOINT_URL_SQS"] == "http://queue"


def test_bash_keeps_the_stacks_variables(stack: Stack) -> None:
    Path.home().joinpath(".bashrc").write_text(EXPORTS + '[ -n "$NONE" ] || return\n')
    check(stack, variables(stack, installed("bash")))


def test_bash_works_without_startup_files_of_the_user(stack: Stack) -> None:
    environment = variables(stack, installed("bash"))
    assert environment["KUBECONFIG"] == str(stack.dir.kubeconfig)


@pytest.mark.parametrize("moved", [False, True])
def test_zsh_keeps_the_stacks_variables(
    stack: Stack, moved: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell, folder = installed("zsh"), Path.home()
    if moved:
        folder = folder / "zsh files"
        folder.mkdir()
        monkeypatch.setenv("ZDOTDIR", str(folder))
    (folder / ".zshenv").write_text("export FROM_ZSHENV=1\n")
    (folder / ".zshrc").write_text(EXPORTS)
    environment = variables(stack, shell)
    check(stack, environment)
    assert environment["FROM_ZSHENV"] == "1"
    assert environment.get("ZDOTDIR") == (str(folder) if moved else None)


def test_zsh_reads_the_folder_that_zshenv_chooses(stack: Stack) -> None:
    shell, folder = installed("zsh"), Path.home() / "chosen"
    folder.mkdir()
    (Path.home() / ".zshenv").write_text(f"export ZDOTDIR={folder}\n")
    (folder / ".zshrc").write_text(EXPORTS)
    environment = variables(stack, shell)
    check(stack, environment)
    assert environment["ZDOTDIR"] == str(folder)


@pytest.mark.parametrize(
    ("startup", "first"),
    [
        ("export PYTHONPATH=/theirs", ["/theirs"]),
        ("export PYTHONPATH=/first:$PYTHONPATH", ["/first", "/outer"]),
        ("unset PYTHONPATH", []),
    ],
)
def test_the_users_startup_files_may_change_the_search_path_of_modules(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, startup: str, first: list[str]
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/outer")
    Path.home().joinpath(".bashrc").write_text(f"{startup}\n")
    environment = variables(stack, installed("bash"))
    assert environment["PYTHONPATH"].split(":") == [*first, str(EXTENSION_FOLDER)]


@pytest.mark.parametrize(
    ("before", "later", "expected"),
    [
        ("", "", [str(EXTENSION_FOLDER)]),
        ("/job", "/job:/step", ["/job", "/step", str(EXTENSION_FOLDER)]),
        (f"/job:{EXTENSION_FOLDER}", f"{EXTENSION_FOLDER}:/step", [str(EXTENSION_FOLDER), "/step"]),
        ("/other/devstack/metaflow_extension", "/other", [str(EXTENSION_FOLDER)]),
    ],
)
def test_the_search_path_of_modules_is_extended_when_the_output_of_env_is_read(
    before: str, later: str, expected: list[str]
) -> None:
    command = export_command("PYTHONPATH", with_extension(before), before)
    done = subprocess.run(
        ["sh", "-c", f'{command}; {command}; env | grep "^PYTHONPATH="'],
        env={"PATH": os.defpath, "PYTHONPATH": later},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == f"PYTHONPATH={':'.join(expected)}"


def test_fish_keeps_the_stacks_variables(stack: Stack) -> None:
    shell = installed("fish")
    config = Path.home() / ".config" / "fish"
    config.mkdir(parents=True)
    (config / "config.fish").write_text(FISH_EXPORTS)
    check(stack, variables(stack, shell))


def test_fish_names_universal_variables_that_conflict(stack: Stack) -> None:
    shell = installed("fish")
    subprocess.run([shell, "-c", "set -Ux AWS_PROFILE company"], check=True)
    start = start_shell(stack, shell, build_environment(stack))
    done = subprocess.run(
        [*start.argv, "-i"],
        input="set --show AWS_PROFILE\nexit\n",
        capture_output=True,
        text=True,
        timeout=30,
        start_new_session=True,
        check=True,
    )
    assert "the universal variable AWS_PROFILE conflicts with the stack" in done.stderr
    assert "company" in done.stdout


@pytest.mark.parametrize(
    ("argv", "options"),
    [
        (["bash", "-l"], ["bash", "-l"]),
        (["bash", "--login"], ["bash", "-l"]),
        (["/bin/bash", "-lic", "x"], ["/bin/bash", "-l", "-i"]),
        (["/bin/sh"], ["/bin/sh", "-i"]),
        (["bash", "script"], None),
        (["bash", "--rcfile", "file"], None),
        (["python", "-i"], None),
        ([], None),
    ],
)
def test_shells_that_read_the_users_files_last_are_known(
    argv: list[str], options: list[str] | None
) -> None:
    assert startup_options(argv) == options


def test_variables_that_a_login_shell_changes_are_named(stack: Stack) -> None:
    ours = build_environment(stack)
    environment = {**os.environ, **ours}
    argv = [installed("bash"), "-l"]
    assert changed_by_startup(argv, environment, ours) == []
    Path.home().joinpath(".bash_profile").write_text(EXPORTS)
    assert changed_by_startup(argv, environment, ours) == [
        "AWS_CREDENTIAL_EXPIRATION",
        "AWS_PROFILE",
        "KUBECONFIG",
        "METAFLOW_DATASTORE",
        "METAFLOW_KUBERNETES_NODE_SELECTOR",
        "METAFLOW_PROFILE",
    ]


@pytest.mark.parametrize("shell", ["sh", "dash"])
def test_sh_keeps_the_stacks_variables(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, shell: str
) -> None:
    file = Path.home() / "profile"
    file.write_text(f"{EXPORTS}\nexport THEIRS=kept\n")
    monkeypatch.setenv("ENV", str(file))
    found = variables(stack, installed(shell), "-i")
    assert found["KUBECONFIG"] == str(stack.dir.kubeconfig)
    assert found["SPECIAL_CHARACTERS"] == SPECIAL_CHARACTERS
    assert "AWS_PROFILE" not in found
    assert (found["THEIRS"], found["ENV"]) == ("kept", str(file))


def test_a_shell_that_is_named_without_arguments_keeps_them_as_well() -> None:
    assert is_plain_shell(["bash"])
    assert is_plain_shell(["/usr/bin/fish"])
    assert not is_plain_shell(["bash", "-l"])
    assert not is_plain_shell(["python"])


def test_a_login_shell_names_conflicts(
    stack: Stack, world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (Path.home() / ".bash_profile").write_text("export AWS_PROFILE=company\n")
    monkeypatch.setattr("devstack.stack.open_stack", lambda spec, *_: world.open(spec))
    assert run(("shell", "--json", "--", installed("bash"), "-l"), Output()) == 0
    assert "change AWS_PROFILE" in capsys.readouterr().err
