from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest

from devstack.cli.main import COMMANDS, LazyGroup, cli, run
from devstack.cli.output import Output
from devstack.config import StackSpec
from devstack.errors import ExitStatus
from devstack.lifecycle.up import up
from devstack.state import STATE_FILE, StackDir, StackState
from tests.fakes.stack import World

PROJECT = Path(__file__).parents[2]

NEED_A_STACK = {
    "run": ("hello",),
    "logs": (),
    "env": (),
    "shell": ("--", "true"),
    "kubectl": ("get", "pods"),
}


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The envelope, which must be the complete output."""
        assert self.err == ""
        envelope = json.loads(self.out)
        keys = ["schemaVersion", "command", "status", "data", "warnings", "error"]
        assert list(envelope) == keys
        assert envelope["schemaVersion"] == 1
        return envelope


@pytest.fixture
def call(home: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    def act(*argv: str) -> Ended:
        status = run(argv, Output())
        shown = capsys.readouterr()
        return Ended(status, shown.out, shown.err)

    return act


@pytest.fixture
def stack(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Commands use these fakes instead of the real cluster and programs."""

    def open_stack(spec: StackSpec, _progress: object = None, **options: bool) -> Any:
        return world.open(spec, **options)

    monkeypatch.setattr("devstack.stack.open_stack", open_stack)
    monkeypatch.setattr("devstack.lifecycle.status.open_stack", open_stack)
    return world


def command_of(name: str) -> click.Command:
    found = cli.get_command(click.Context(cli), name)
    assert found is not None
    return found


def leaves(name: str, command: click.Command) -> list[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        return [(name, command)]
    context = click.Context(command)
    return [
        leaf
        for below in command.list_commands(context)
        for leaf in leaves(f"{name} {below}", command.get_command(context, below))  # type: ignore[arg-type]
    ]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_json_output_and_an_example(name: str) -> None:
    for path, command in leaves(name, command_of(name)):
        flags = {flag for each in command.params for flag in each.opts}
        assert "--json" in flags, path
        assert command.epilog, path
        assert f"devstack {path}" in command.epilog, path
        assert command.help, path


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_under_both_flags(call: Callable[..., Ended], name: str) -> None:
    long, short = call(name, "--help"), call(name, "-h")
    assert long == short
    assert long.status == 0
    assert long.out.startswith(f"Usage: devstack {name} ")


@pytest.mark.parametrize(("name", "arguments"), NEED_A_STACK.items())
def test_a_command_without_its_stack_fails_in_json(
    call: Callable[..., Ended], name: str, arguments: tuple[str, ...]
) -> None:
    ended = call(name, "--json", *arguments)
    assert ended.status == ExitStatus.ENVIRONMENT
    assert ended.json["command"] == name
    assert ended.json["status"] == "error"
    assert ended.json["error"]["code"] == "STACK_DOWN"
    assert ended.json["error"]["remedy"] == "devstack up"


@pytest.mark.parametrize("name", NEED_A_STACK)
def test_a_command_without_its_stack_fails_as_text(call: Callable[..., Ended], name: str) -> None:
    ended = call(name, "--name", "ci", *NEED_A_STACK[name])
    assert ended.out == ""
    assert ended.err == (
        "error: the stack is not up: there is no stack 'ci'\n"
        "  next: devstack up --name ci\n"
        "  code: STACK_DOWN\n"
    )


def test_without_arguments_the_help_is_printed(call: Callable[..., Ended]) -> None:
    assert call() == call("--help")
    assert call().status == 0


def test_help_imports_no_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_group: LazyGroup, _context: click.Context, name: str) -> None:
        raise AssertionError(f"{name} was imported")

    monkeypatch.setattr(LazyGroup, "get_command", refuse)
    assert run(["--help"], Output()) == 0


def test_an_unknown_command_suggests_the_closest_match(call: Callable[..., Ended]) -> None:
    ended = call("statu")
    assert ended.status == ExitStatus.USAGE
    assert "Did you mean 'status'?" in ended.err


@pytest.mark.parametrize(
    ("argv", "command"),
    [
        (("statu", "--json"), ""),
        (("up", "--bogus", "--json"), "up"),
        (("up", "--json", "--nodes", "many"), "up"),
        (("up", "--json", "--port", "9000"), "up"),
        (("up", "--json", "--port", "minio=²"), "up"),
    ],
)
def test_wrong_usage_is_an_envelope_too(
    call: Callable[..., Ended], argv: tuple[str, ...], command: str
) -> None:
    ended = call(*argv)
    assert ended.status == ExitStatus.USAGE
    assert ended.json["error"]["code"] == "USAGE"
    assert ended.json["command"] == command
    assert ended.json["error"]["remedy"] == f"devstack {command} --help".replace("  ", " ")


def test_an_unknown_provider_is_an_envelope_too(call: Callable[..., Ended]) -> None:
    ended = call("up", "--json", "--provider", "knd")
    assert ended.status == ExitStatus.USAGE
    assert (ended.json["error"]["code"], ended.json["command"]) == ("PROVIDER_UNKNOWN", "up")
    assert "did you mean 'kind'?" in ended.json["error"]["cause"]


def test_mistakes_in_the_settings_are_all_reported(call: Callable[..., Ended]) -> None:
    Path("devstack.toml").write_text('provder = "kind"\nnodes = 0\nnamespace = "a.b"\n')
    ended = call("status", "--json")
    assert ended.status == ExitStatus.USAGE
    assert ended.json["error"]["code"] == "CONFIG_INVALID"
    assert ended.json["error"]["cause"].startswith("3 mistakes: ")


def test_an_invalid_name_is_rejected_before_anything_is_written(
    call: Callable[..., Ended], home: Path
) -> None:
    ended = call("down", "--json", "--name", "../../etc")
    assert ended.json["error"]["code"] == "CONFIG_INVALID"
    assert not home.exists()


def test_a_stack_is_created_and_removed(call: Callable[..., Ended], stack: World) -> None:
    first = call("up", "--json").json
    assert first["data"]["changed"][:2] == ["machine", "settings"]
    assert first["data"]["urls"].keys() == {"minio"}
    assert call("up", "--json").json["data"]["changed"] == []
    assert call("status", "--json").json["data"]["state"] == "up"
    assert call("env", "--json").json["data"]["environment"]["DEVSTACK_NAME"] == "devstack"
    assert call("down", "--json").json["data"]["removed"] is True
    assert call("down", "--json").json["data"]["removed"] is False


def test_the_next_steps_are_printed(call: Callable[..., Ended], stack: World) -> None:
    ended = call("up", "--name", "ci")
    assert "Stack 'ci' is up" in ended.out
    assert "devstack run hello --name ci" in ended.out
    assert "nothing changed" in call("up", "--name", "ci").out
    assert "is removed" in call("down", "--name", "ci").out
    assert "nothing to do" in call("down", "--name", "ci").out


def test_secrets_are_shown_only_with_the_flag(call: Callable[..., Ended], stack: World) -> None:
    shown = [call("up"), call("up", "--json"), call("status"), call("status", "--json")]
    shown += [call("up", "--dry-run"), call("doctor", "--json"), call("down", "--dry-run")]
    secret = stack.open().state.credentials["minio"]
    assert not [ended for ended in shown if secret in ended.out + ended.err]
    assert secret in call("status", "--secrets").out


def test_env_prints_a_script_for_the_shell(call: Callable[..., Ended], stack: World) -> None:
    up(stack.open())
    script = call("env").out + 'echo "$METAFLOW_PROFILE:$AWS_PROFILE"'
    done = subprocess.run(
        ["sh", "-c", script],
        env={**os.environ, "AWS_PROFILE": "theirs"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "devstack:\n"


def test_a_program_in_the_stacks_shell_sees_the_stack(
    call: Callable[..., Ended], stack: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    up(stack.open())
    monkeypatch.setenv("AWS_PROFILE", "theirs")
    ended = call("shell", "--json", "--", "sh", "-c", 'echo "$KUBECONFIG$AWS_PROFILE"; exit 7')
    assert ended.status == 7
    assert ended.json["data"]["stdout"] == f"{stack.open().dir.kubeconfig}\n"


def test_an_empty_shell_variable_means_sh(
    call: Callable[..., Ended], stack: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    up(stack.open())
    monkeypatch.setenv("SHELL", "")
    assert call("shell", "--json").json["data"]["returncode"] == 0


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_a_missing_program_is_an_error(
    call: Callable[..., Ended], stack: World, flags: tuple[str, ...]
) -> None:
    up(stack.open())
    ended = call("shell", *flags, "--", "no-such-program")
    assert ended.status == ExitStatus.USAGE
    assert "no-such-program" in ended.out + ended.err
    assert "TOOL_MISSING" in ended.out + ended.err


def test_the_exit_status_of_status_reports_readiness(
    call: Callable[..., Ended], stack: World
) -> None:
    assert call("status").status == ExitStatus.FAILED
    up(stack.open())
    assert call("status").status == ExitStatus.OK
    stack.break_api()
    ended = call("status")
    assert ended.status == ExitStatus.FAILED
    assert "Next: devstack up" in ended.out


def test_the_status_of_an_envelope_agrees_with_the_exit_status(
    call: Callable[..., Ended], stack: World
) -> None:
    ended = call("status", "--json", "--name", "nosuch")
    assert (ended.status, ended.json["status"]) == (ExitStatus.FAILED, "error")
    assert ended.json["data"]["state"] == "absent"
    assert ended.json["error"]["code"] == "STACK_DOWN"
    assert ended.json["error"]["remedy"] == "devstack up --name nosuch"
    up(stack.open())
    assert call("status", "--json").json["status"] == "ok"


def test_all_stacks_are_shown_one_per_line(call: Callable[..., Ended], stack: World) -> None:
    assert call("status", "--all").out == "There is no stack on this machine\n"
    up(stack.open(StackSpec(name="one")))
    StackDir("two").write_file(STATE_FILE, "{")
    ended = call("status", "--all", "--json").json
    assert [(each["name"], each["state"]) for each in ended["data"]["stacks"]] == [
        ("one", "up"),
        ("two", "broken"),
    ]


def test_a_stack_with_a_broken_state_can_be_removed(
    call: Callable[..., Ended], stack: World, home: Path
) -> None:
    up(stack.open())
    (stack.open().dir.path / STATE_FILE).write_text("{")
    refused = call("up", "--json").json["error"]
    assert refused["code"] == "STATE_BROKEN"
    assert "devstack down --name devstack" in refused["remedy"]
    assert call("doctor", "--json").json["status"] == "ok"
    assert call("down", "--json").json["data"]["removed"] is True
    assert [path for path in home.rglob("*") if path.is_file()] == []


def test_the_clusters_logs_are_available_although_up_failed(
    call: Callable[..., Ended], stack: World, tmp_path: Path
) -> None:
    stack.open().save()
    assert call("logs", "--cluster", str(tmp_path / "logs")).status == 0
    assert (tmp_path / "logs" / "kubelet.log").exists()
    ended = call("logs", "--json", "--cluster", str(tmp_path / "logs" / "kubelet.log" / "below"))
    assert ended.status == ExitStatus.USAGE
    assert ended.json["error"]["code"] == "FOLDER_UNWRITABLE"


def test_a_dry_run_does_nothing(call: Callable[..., Ended], stack: World, home: Path) -> None:
    steps = call("up", "--dry-run", "--json").json["data"]["steps"]
    assert [step["name"] for step in steps][:2] == ["machine", "settings"]
    assert call("down", "--dry-run", "--json").json["data"]["steps"]
    assert stack.provider.calls == []
    assert not home.exists()


def test_a_dry_run_of_a_stack_that_is_up_has_nothing_to_do(
    call: Callable[..., Ended], stack: World
) -> None:
    up(stack.open())
    assert call("up", "--dry-run").out == "Nothing to do\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_for_the_shell(call: Callable[..., Ended], shell: str) -> None:
    ended = call("completion", shell)
    assert ended.status == 0
    assert "_DEVSTACK_COMPLETE" in ended.out
    assert call("completion", "--json", shell).json["data"]["script"] in ended.out


def devstack(*argv: str, **variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "devstack", *argv],
        env={**os.environ, "PYTHONPATH": str(PROJECT), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


@pytest.mark.parametrize(
    ("command_line", "found"),
    [("devstack sta", "plain,status"), ("devstack status --name c", "plain,ci")],
)
def test_commands_and_stacks_are_completed(home: Path, command_line: str, found: str) -> None:
    StackDir("ci").write(StackState("ci"))
    out, _ = devstack(
        _DEVSTACK_COMPLETE="bash_complete",
        COMP_WORDS=command_line,
        COMP_CWORD=str(len(command_line.split()) - 1),
    ).communicate()
    assert out.splitlines() == [found]


def test_a_terminal_of_another_encoding_causes_no_exception(home: Path) -> None:
    out, err = devstack("doctor", PYTHONIOENCODING="ascii").communicate()
    assert "the provider can be used here" in out
    assert "Traceback" not in err


def test_a_reader_that_exits_causes_no_traceback() -> None:
    process = devstack("--help")
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.wait()


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("argv", [("--help",), ("status",), ("status", "--json"), ("nosuch",)])
def test_a_closed_stream_changes_nothing_but_the_output(
    home: Path, argv: tuple[str, ...], closed: str
) -> None:
    def ended(redirection: str) -> subprocess.CompletedProcess[str]:
        script = f'exec "$@" {redirection}'
        command = ["sh", "-c", script, "sh", sys.executable, "-m", "devstack", *argv]
        environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    whole, part = ended(""), ended(closed)
    assert part.returncode == whole.returncode
    assert part.stdout == ("" if closed.startswith(">") or " >&-" in closed else whole.stdout)
    assert part.stderr == ("" if "2>&-" in closed else whole.stderr)


def test_a_bug_keeps_its_traceback(
    call: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(*_arguments: object, **_options: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("devstack.lifecycle.status.stack_status", bug)
    with pytest.raises(ZeroDivisionError):
        call("status")
