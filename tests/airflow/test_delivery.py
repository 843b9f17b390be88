"""DAG files from Git, in an image, on a volume, and with requirements, in sequence on one stack."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from git_server.repository import create_repository

from devstack.paths import project_file
from tests.airflow.airflow_stack import Airflow
from tests.fakes.git_repository import Clone, make_clone
from tests.fakes.ssh_server import ssh_server
from tests.support.commandline import Devstack
from tests.support.eventually import eventually

LINEAR = project_file("devstack", "samples", "linear.py")
NOTICED = 12.0
"""The interval, two seconds for Airflow to look at its folder, and the parse on a busy machine."""

DAG = """\
from datetime import datetime
from airflow import DAG
from airflow.operators.empty import EmptyOperator
{imports}
with DAG("{dag_id}", description="{text}", start_date=datetime(2026, 1, 1), schedule=None):
    EmptyOperator(task_id="task")
"""

Configure = Callable[[str], None]


@pytest.fixture(scope="module")
def configure(stack: Devstack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Configure]:
    """Brings the stack up with a table ``[airflow]``; at the end with the default one."""
    file = tmp_path_factory.mktemp("delivery") / "devstack.toml"

    def act(table: str) -> None:
        file.write_text(f"[airflow]\n{table}\n")
        stack.run("up", "--config", str(file), "--timeout", "600", timeout=1500)

    yield act
    act('dags = "deploy"')


@pytest.fixture(scope="module")
def airflow(stack: Devstack) -> Airflow:
    return Airflow(stack)


def dag(dag_id: str, text: str = "", imports: str = "") -> str:
    return DAG.format(dag_id=dag_id, text=text, imports=imports)


def active_dags(airflow: Airflow) -> dict[str, str]:
    """Return the descriptions of the DAGs whose files exist, by id."""
    return {each["dag_id"]: each["description"] for each in airflow.get("dags")["dags"]}


def noticed(what: str, condition: Callable[[], object]) -> None:
    eventually(what, condition, timeout=NOTICED)


def status_of(stack: Devstack, service: str) -> str:
    """Return a service's detail; the command fails while the stack is degraded."""
    services = stack.json("status", check=False)["data"]["services"]
    (found,) = (each for each in services if each["name"] == service)
    return str(found["detail"])


@pytest.fixture(scope="module")
def clone(stack: Devstack, configure: Configure, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    configure('dags = "git"')
    state = json.loads((stack.directory / "stack.json").read_text())
    url = f"http://127.0.0.1:{state['ports']['git']}/dags.git"
    folder = tmp_path_factory.mktemp("git") / "clone"
    return make_clone(folder, url, "git", state["credentials"]["git_password"])


class TestGit:
    """`dags = "git"` with the stack's own server."""

    def test_a_flow_that_is_compiled_and_pushed_runs(
        self, stack: Devstack, airflow: Airflow, clone: Clone, tmp_path: Path
    ) -> None:
        assert "push one to main" in status_of(stack, "git-sync")
        flow = tmp_path / "pushed.py"
        flow.write_text(LINEAR.read_text().replace("LinearFlow", "PushedFlow"))
        stack.run("airflow", "deploy", str(flow), "--only-compile", str(clone.folder))
        clone.commit({"plain.py": dag("plain")}, "Add DAGs")
        clone.push()
        noticed("both DAGs", lambda: {"plain", "PushedFlow"} <= set(active_dags(airflow)))
        stack.run("airflow", "trigger", "--unpause", "PushedFlow", "--wait")
        assert "Add DAGs" in status_of(stack, "git-sync")

    def test_deploy_and_delete_explain_themselves(self, stack: Devstack, clone: Clone) -> None:
        for command in (["deploy", str(LINEAR)], ["delete", "plain"]):
            done = stack.run("airflow", *command, check=False)
            assert done.returncode == 2
            assert "from Git: branch main" in done.stderr

    def test_the_last_of_fifty_pushes_is_used(self, airflow: Airflow, clone: Clone) -> None:
        for number in range(50):
            files = {f"many{each}.py": dag(f"many{each}", str(number)) for each in range(3)}
            clone.commit(files)
            clone.push()
        noticed(
            "the last of 50 commits",
            lambda: [active_dags(airflow).get(f"many{each}") for each in range(3)] == ["49"] * 3,
        )
        assert airflow.get("importErrors")["import_errors"] == []

    def test_a_syntax_error_leaves_the_other_files(
        self, stack: Devstack, airflow: Airflow, clone: Clone
    ) -> None:
        # Airflow parses only files with these two words.
        clone.commit({"broken.py": "# airflow dag\ndef (:\n", "valid.py": dag("valid")})
        clone.push()
        noticed("the valid file", lambda: "valid" in active_dags(airflow))
        noticed("the error", lambda: airflow.get("importErrors")["import_errors"])
        listed = stack.run("airflow", "list")
        assert "broken.py cannot be imported" in listed.stdout + listed.stderr

    def test_a_forced_push_removes_files(self, airflow: Airflow, clone: Clone) -> None:
        clone.git("reset", "--quiet", "--hard", "HEAD~1")
        clone.commit({"forced.py": dag("forced")})
        clone.push("--force")
        noticed(
            "the forced commit",
            lambda: {"forced"} <= set(active_dags(airflow)) and "valid" not in active_dags(airflow),
        )
        noticed("no error", lambda: not airflow.get("importErrors")["import_errors"])

    @pytest.mark.breaks("dag-delivery")
    def test_a_deleted_branch_and_a_dead_server_are_reported(
        self, stack: Devstack, airflow: Airflow, clone: Clone
    ) -> None:
        clone.push(branch="other")
        in_server = ("exec", "--namespace=git", "deploy/git", "--", "git")
        repository = "--git-dir=/var/lib/git/dags.git"
        stack.admin_kubectl(*in_server, repository, "update-ref", "-d", "refs/heads/main")
        noticed("the report", lambda: "BRANCH_MISSING" in status_of(stack, "git-sync"))
        assert "GIT_BRANCH_MISSING" in stack.run("doctor", check=False).stdout
        scale = ("scale", "--namespace=git", "deploy/git")
        stack.admin_kubectl(*scale, "--replicas=0")
        eventually("the report", lambda: "UNREACHABLE" in status_of(stack, "git-sync"))
        assert "forced" in active_dags(airflow), "the last commit stays"
        stack.admin_kubectl(*scale, "--replicas=1")
        ready = ("rollout", "status", "--namespace=git", "deploy/git", "--timeout=60s")
        stack.admin_kubectl(*ready)
        noticed("an answer", lambda: "UNREACHABLE" not in status_of(stack, "git-sync"))
        clone.push()
        noticed("recovery", lambda: "BRANCH_MISSING" not in status_of(stack, "git-sync"))


def test_a_private_repository_is_followed_over_ssh(
    stack: Devstack, configure: Configure, airflow: Airflow, tmp_path: Path
) -> None:
    repository = tmp_path / "server" / "dags.git"
    create_repository(repository)
    clone = make_clone(tmp_path / "clone", str(repository))
    clone.commit({"private.py": dag("private")})
    clone.push()
    with ssh_server(repository.parent, gateway(stack)) as server:
        (tmp_path / "key").write_text(server.client_key)
        (tmp_path / "known_hosts").write_text(server.known_hosts)
        stack.admin_kubectl(
            *("create", "secret", "generic", "git-ssh", "--namespace=airflow"),
            f"--from-file=ssh-privatekey={tmp_path / 'key'}",
            f"--from-file=known_hosts={tmp_path / 'known_hosts'}",
        )
        configure(f'dags = "git"\n[airflow.git]\nrepo = "{server.url}"\nsecret = "git-ssh"')
        noticed("the DAG", lambda: set(active_dags(airflow)) == {"private"})
        clone.commit({"private.py": dag("private", "changed")})
        clone.push()
        noticed("the change", lambda: active_dags(airflow) == {"private": "changed"})


def gateway(stack: Devstack) -> str:
    """Return this machine's address in the network of a stack's nodes."""
    argv = ["docker", "network", "inspect", f"devstack-{stack.name}"]
    argv += ["--format", "{{(index .IPAM.Config 0).Gateway}}"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return done.stdout.strip()


class TestImage:
    """`dags = "image"`, and packages that DAGs need."""

    def test_dags_and_packages_are_built_into_an_image(
        self, stack: Devstack, configure: Configure, airflow: Airflow, tmp_path: Path
    ) -> None:
        configure('dags = "image"')
        (tmp_path / "requirements.txt").write_text("cowsay==6.1\n")
        (tmp_path / "baked.py").write_text(dag("baked", imports="import cowsay"))
        stack.run("airflow", "image", "build", str(tmp_path))
        noticed("only the DAG of the image", lambda: set(active_dags(airflow)) == {"baked"})
        before = airflow.pod("scheduler")
        for name, text, code in (
            ("broken.py", "def (:\n", "DAG_SYNTAX"),
            ("requirements.txt", "sqlalchemy>=2\n", "REQUIREMENT_CONFLICT"),
        ):
            folder = tmp_path / code
            folder.mkdir()
            (folder / "one.py").write_text(dag("one"))
            (folder / name).write_text(text)
            assert self.refusal(stack, folder) == code
        assert airflow.pod("scheduler") == before, "nothing was restarted"

    def refusal(self, stack: Devstack, folder: Path) -> str:
        done = stack.run("airflow", "image", "build", "--json", str(folder), check=False)
        envelope: dict[str, Any] = json.loads(done.stdout)
        return str(envelope["error"]["code"])


def test_a_volume_gets_files_by_copying(
    stack: Devstack, configure: Configure, airflow: Airflow, tmp_path: Path
) -> None:
    requirements = tmp_path / "dags.txt"
    requirements.write_text("cowsay==6.1\n")
    configure(f'dags = "volume"\nrequirements = "{requirements}"')
    folder = tmp_path / "dags"
    folder.mkdir()
    (folder / "copied.py").write_text(dag("copied", imports="import cowsay"))
    stack.run("airflow", "volume", "copy", str(folder))
    noticed("only the DAG of the volume", lambda: set(active_dags(airflow)) == {"copied"})


def test_dags_of_other_deliveries_are_hidden_and_keep_their_runs(
    stack: Devstack, configure: Configure, airflow: Airflow
) -> None:
    configure('dags = "deploy"')
    others = {"PushedFlow", "plain", "baked", "copied"}
    noticed("no DAG of another folder", lambda: not others & set(active_dags(airflow)))
    assert airflow.get("dags/PushedFlow/dagRuns")["total_entries"] == 1
    assert not others & set(stack.run("airflow", "list").stdout.split())
