"""Every command on a stack that is up, as text and as JSON, as a user types it."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from devstack.errors import ExitStatus
from tests.support.cluster import minio_pod
from tests.support.commandline import Devstack
from tests.support.refusal import findings

ENVELOPE = {"schemaVersion", "command", "status", "data", "warnings", "error"}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """PATH with the ``devstack`` under test in front."""
    folder = tmp_path_factory.mktemp("bin")
    program = folder / "devstack"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m devstack "$@"\n')
    program.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def bash(stack: Devstack, path: str, script: str) -> subprocess.CompletedProcess[str]:
    """Run a script in bash."""
    return subprocess.run(
        ["bash", "-c", script],
        env={**stack.environment, "PATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    "argv",
    [
        ("up",),
        ("up", "--dry-run"),
        ("down", "--dry-run"),
        ("status",),
        ("status", "--all"),
        ("logs", "minio"),
        ("env",),
        ("shell", "--", "true"),
        ("kubectl", "get", "pods"),
        ("images", "list"),
        ("doctor",),
        ("completion", "bash"),
    ],
    ids=" ".join,
)
def test_every_command_prints_text_or_one_json_envelope(
    stack: Devstack, argv: tuple[str, ...]
) -> None:
    text = stack.run(*argv)
    assert not text.stdout.startswith("{")
    envelope = stack.json(*argv)
    assert set(envelope) == ENVELOPE
    assert (envelope["schemaVersion"], envelope["status"]) == (1, "ok")
    assert envelope["command"] == (" ".join(argv) if argv[0] == "images" else argv[0])
    assert envelope["error"] is None


def test_status_shows_every_service_ready_with_its_url(stack: Devstack) -> None:
    data = stack.json("status")["data"]
    assert data["state"] == "up"
    states = {each["name"]: each["state"] for each in data["services"]}
    assert {"rbac", "jobset", "minio", "samples"} <= set(states)
    assert set(states.values()) == {"ready"}
    text = stack.run("status").stdout
    assert all(url in text for url in data["urls"].values())


def test_status_shows_credentials_only_on_request(stack: Devstack) -> None:
    secrets = stack.json("status", "--secrets")["data"]["secrets"]
    assert secrets["minio-password"]
    assert secrets["minio-password"] not in stack.run("status").stdout
    assert secrets["minio-password"] in stack.run("status", "--secrets").stdout


def test_status_lists_all_stacks_of_the_machine(stack: Devstack) -> None:
    stacks = stack.json("status", "--all")["data"]["stacks"]
    assert [each["name"] for each in stacks] == [stack.name]


def test_dry_runs_show_the_steps_and_change_nothing(stack: Devstack) -> None:
    before = sorted(stack.directory.rglob("*"))
    assert stack.json("up", "--dry-run")["data"]["steps"] == []
    assert stack.run("up", "--dry-run").stdout == "Nothing to do\n"
    undo = stack.json("down", "--dry-run")["data"]["steps"]
    assert undo == ["Delete the kind cluster", f"Remove {stack.directory}"]
    assert sorted(stack.directory.rglob("*")) == before
    assert stack.json("status")["data"]["state"] == "up"


def test_logs_of_a_service_of_a_pod_and_of_all(stack: Devstack) -> None:
    pod = minio_pod(stack).metadata.name
    by_service = stack.run("logs", "minio").stdout
    assert "MinIO" in by_service
    assert stack.run("logs", f"devstack/{pod}").stdout == by_service
    everything = stack.run("logs").stdout
    assert f"==> devstack/{pod} <==" in everything
    assert "==> jobset-system/jobset-controller" in everything
    assert len(stack.run("logs", "minio", "--tail", "1").stdout.splitlines()) == 1


def test_logs_of_the_cluster_go_to_a_folder(stack: Devstack, tmp_path: Path) -> None:
    folder = tmp_path / "cluster"
    assert str(folder) in stack.run("logs", "--cluster", str(folder)).stdout
    names = {path.name for path in folder.rglob("*") if path.is_file()}
    assert {"kubelet.log", "containerd.log"} <= names


def test_logs_of_an_unknown_target_name_the_closest_one(stack: Devstack) -> None:
    done = stack.run("logs", "minoi", check=False)
    assert done.returncode == 2
    assert "code: TARGET_UNKNOWN" in done.stderr
    assert "minio" in done.stderr


def test_env_points_s3_clients_and_kubectl_at_the_stack(stack: Devstack, path: str) -> None:
    listing = (
        "import boto3; s3 = boto3.client('s3');"
        " print([each['Name'] for each in s3.list_buckets()['Buckets']])"
    )
    done = bash(
        stack,
        path,
        f"""
        set -e
        export AWS_PROFILE=of-the-user
        eval "$(devstack env)"
        {shlex.quote(sys.executable)} -c {shlex.quote(listing)}
        kubectl() {{ devstack kubectl "$@"; }}
        test "$(kubectl config current-context)" = devstack-{stack.name}
        kubectl get pods
        """,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "['metaflow']" in done.stdout


def test_env_grants_only_the_rights_of_a_submitter(stack: Devstack) -> None:
    kubeconfig = Path(stack.json("env")["data"]["environment"]["KUBECONFIG"])
    assert kubeconfig == stack.directory / "kubeconfig"
    refusal = stack.kubectl("get", "secrets")
    assert refusal.returncode != 0
    assert "forbidden" in refusal.stderr
    assert stack.kubectl("get", "pods", "-A").returncode != 0
    assert stack.admin_kubectl("get", "secrets", "-A").returncode == 0


def test_shell_runs_a_command_with_the_stacks_variables(stack: Devstack) -> None:
    argv = ("python3", "-c", "import os; print(os.environ['METAFLOW_PROFILE'])")
    assert stack.run("shell", "--", *argv).stdout == "devstack\n"
    assert stack.run("shell", "--", "sh", "-c", "exit 7", check=False).returncode == 7
    missing = stack.run("shell", "--", "no-such-program", check=False)
    assert (missing.returncode, "TOOL_MISSING" in missing.stderr) == (2, True)


def test_shell_without_a_command_is_a_shell(stack: Devstack) -> None:
    done = subprocess.run(
        stack.command("shell"),
        env={**stack.environment, "SHELL": "/bin/sh"},
        input="echo $DEVSTACK_NAME $METAFLOW_HOME\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert f"{stack.name} {stack.directory}/metaflow" in done.stdout


def test_kubectl_passes_options_status_and_output_through(stack: Devstack) -> None:
    nodes = stack.admin_kubectl("get", "nodes", "-o", "name").stdout
    assert nodes == f"node/devstack-{stack.name}-control-plane\n"
    assert stack.kubectl("get", "pod", "no-such-pod").returncode == 1
    data = stack.json("kubectl", "get", "pod", "no-such-pod", check=False)["data"]
    assert data["returncode"] == 1
    assert "NotFound" in data["stderr"]


def test_the_doctor_names_what_was_broken_in_the_stacks_files(stack: Devstack) -> None:
    kubeconfig = stack.directory / "kubeconfig"
    kubeconfig.chmod(0o644)
    try:
        assert str(kubeconfig) in findings(stack)["FILE_EXPOSED"]
    finally:
        kubeconfig.chmod(0o600)
    text = kubeconfig.read_text()
    kubeconfig.unlink()
    assert "devstack up" in findings(stack)["FILE_MISSING"]
    assert stack.json("up")["data"]["changed"] == ["access"]
    assert kubeconfig.read_text() == text


def test_the_doctor_names_a_missing_certificate_bundle(stack: Devstack) -> None:
    lost = Devstack(stack.name, stack.home, {"DEVSTACK_CA_BUNDLE": "/nowhere/ca.pem"})
    assert "/nowhere/ca.pem" in findings(lost)["CA_BUNDLE_MISSING"]


def test_bash_completes_commands_options_and_names(stack: Devstack, path: str) -> None:
    script = """
        eval "$(devstack completion bash)" || exit 9
        complete -p devstack
        try() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=();
                _devstack_completion devstack; printf '%s\\n' "${COMPREPLY[@]}"; }
        try devstack sta
        try devstack up --nod
        try devstack logs mini
        try devstack status --name ""
    """
    done = bash(stack, path, script)
    assert done.returncode == 0, done.stderr
    for word in ("status", "--nodes", "minio", stack.name):
        assert word in done.stdout.splitlines(), done.stdout


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_a_script_too(stack: Devstack, shell: str) -> None:
    assert "_DEVSTACK_COMPLETE" in stack.run("completion", shell).stdout


def test_everything_listens_on_loopback_only(stack: Devstack) -> None:
    import docker

    container = docker.from_env().containers.get(f"devstack-{stack.name}-control-plane")
    bindings = container.attrs["NetworkSettings"]["Ports"].values()
    addresses = {each["HostIp"] for mapped in bindings for each in mapped or []}
    assert addresses == {"127.0.0.1"}


def test_the_stacks_files_are_private(stack: Devstack) -> None:
    assert not stack.directory.stat().st_mode & 0o077
    for path in stack.directory.rglob("*"):
        # kubectl and Metaflow choose their own modes; the stack's folder protects these files.
        if not {"kubectl-cache", ".metaflow"} & set(path.parts):
            mode = path.stat().st_mode
            assert not mode & 0o077, f"others may use {path} ({oct(mode)})"


def test_a_closed_pipe_ends_the_command_silently(stack: Devstack) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer) as closed_pipe:
        done = subprocess.run(
            stack.command("logs", "--tail", "500"),
            env=stack.environment,
            stdout=closed_pipe,
            stderr=subprocess.PIPE,
            timeout=120,
            check=False,
        )
    assert (done.returncode, done.stderr) == (ExitStatus.FAILED, b"")
