"""git-sync against a real Git server: what is served, and how failures are reported."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from git_sync import __main__ as main_module
from git_sync import commits as commits_module
from git_sync import report as report_module
from git_sync.__main__ import look
from git_sync.commits import Commits
from git_sync.failures import SyncError
from git_sync.git import Git
from git_sync.report import Report
from git_sync.settings import Settings, read_settings

from devstack.images.recipes.git import ROOTFS
from tests.fakes.git_repository import PASSWORD, USER, Clone, make_clone, served
from tests.fakes.ssh_server import SshServer, ssh_server
from tests.support.private_authority import PrivateAuthority

ASKPASS = str(ROOTFS / "opt" / "devstack" / "askpass")


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with served(tmp_path / "server") as (address, _):
        yield address


@pytest.fixture
def clone(tmp_path: Path, url: str) -> Clone:
    return make_clone(tmp_path / "clone", url)


@pytest.fixture
def credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "credentials"
    folder.mkdir()
    (folder / "username").write_text(USER)
    (folder / "password").write_text(PASSWORD)
    monkeypatch.setenv("GIT_SYNC_CREDENTIALS", str(folder))
    return folder


@pytest.fixture
def settings(tmp_path: Path, url: str, credentials: Path) -> Settings:
    return Settings(url, folder=tmp_path / "airflow", credentials=credentials, secret="airflow-git")


def start(settings: Settings) -> Commits:
    scratch = settings.folder.parent / "scratch"
    scratch.mkdir(exist_ok=True)
    commits = Commits(settings, Git(settings, scratch, ASKPASS))
    commits.prepare()
    return commits


def files(settings: Settings) -> dict[str, str]:
    link = settings.folder / "dags"
    return {
        path.relative_to(link).as_posix(): path.read_text()
        for path in link.rglob("*")
        if path.is_file()
    }


def read_in(folder: int, name: str) -> str:
    """Return the text of a file in an opened folder."""
    with os.fdopen(os.open(name, os.O_RDONLY, dir_fd=folder)) as file:
        return file.read()


def failure(commits: Commits) -> SyncError:
    with pytest.raises(SyncError) as raised:
        commits.update()
    return raised.value


def test_the_latest_commit_is_served(clone: Clone, settings: Settings) -> None:
    commits = start(settings)
    first = clone.commit({"one.py": "1", "package/two.py": "2"}, "first")
    clone.push()
    assert commits.update()
    assert files(settings) == {"one.py": "1", "package/two.py": "2"}
    clone.git("rm", "--quiet", "one.py")
    second = clone.commit({"package/two.py": "3"}, "second")
    clone.push()
    assert commits.update()
    assert files(settings) == {"package/two.py": "3"}
    assert not commits.update()
    served_now = commits.served()
    assert served_now
    assert (served_now.id, served_now.subject) == (second, "second")
    assert (settings.folder / "commits" / first).exists(), "tasks may still read it"


def test_folders_of_former_commits_are_removed_after_a_while(
    clone: Clone, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits = start(settings)
    for text in ("1", "2"):
        commit = clone.commit({"one.py": text})
        clone.push()
        commits.update()
    monkeypatch.setattr(commits_module, "GRACE_SECONDS", -1.0)
    commits.tend()
    assert [each.name for each in (settings.folder / "commits").iterdir()] == [commit]
    assert files(settings) == {"one.py": "2"}


def test_a_folder_that_is_half_removed_is_not_served_again(
    clone: Clone, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits = start(settings)
    clone.commit({"one.py": "1", "two.py": "1"})
    clone.push()
    commits.update()
    clone.commit({"one.py": "2"})
    clone.push()
    commits.update()

    def killed(folder: Path) -> None:
        (folder / "two.py").unlink()
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(commits_module, "GRACE_SECONDS", -1.0)
        patched.setattr(commits_module, "_remove", killed)
        with pytest.raises(SystemExit):
            commits.tend()
    clone.git("reset", "--quiet", "--hard", "HEAD~1")
    clone.push("--force")
    again = start(settings)
    again.update()
    assert files(settings) == {"one.py": "1", "two.py": "1"}


def test_a_commit_whose_folder_is_lost_is_served_again(clone: Clone, settings: Settings) -> None:
    commits = start(settings)
    commit = clone.commit({"one.py": "1"})
    clone.push()
    commits.update()
    shutil.rmtree(settings.folder / "commits" / commit)
    commits.update()
    assert files(settings) == {"one.py": "1"}


def test_files_get_the_time_at_which_they_are_served_and_a_later_one(
    clone: Clone, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commits_module, "TOUCH_SECONDS", 0.0)
    commits = start(settings)
    clone.commit({"one.py": "1"})
    clone.push()
    commits.update()
    path = settings.folder / "dags" / "one.py"
    os.utime(path, (1, 1))
    commits.tend()
    assert path.stat().st_mtime > 1, "Airflow may have parsed its predecessor meanwhile"
    os.utime(path, (1, 1))
    commits.tend()
    assert path.stat().st_mtime == 1, "once is enough"


def test_a_subfolder_is_served(clone: Clone, settings: Settings) -> None:
    commits = start(replace(settings, subfolder="team/dags"))
    clone.commit({"README.md": "", "team/dags/one.py": "1"})
    clone.push()
    commits.update()
    assert files(settings) == {"one.py": "1"}


def test_a_forced_push_is_followed(clone: Clone, settings: Settings) -> None:
    commits = start(settings)
    clone.commit({"one.py": "1"})
    clone.push()
    clone.commit({"one.py": "2"})
    clone.push()
    commits.update()
    clone.git("reset", "--quiet", "--hard", "HEAD~1")
    clone.commit({"one.py": "3"})
    clone.push("--force")
    commits.update()
    assert files(settings) == {"one.py": "3"}


def test_readers_never_see_a_mixture_during_many_pushes(clone: Clone, settings: Settings) -> None:
    commits = start(settings)
    names = [f"dag{number}.py" for number in range(20)]
    clone.commit(dict.fromkeys(names, "start"))
    clone.push()
    commits.update()
    mixtures: list[dict[str, str]] = []
    finished = threading.Event()

    def read() -> None:
        while not finished.is_set():
            # As a reader that has opened the folder: it stays the same one.
            folder = os.open(settings.folder / "dags", os.O_RDONLY)
            try:
                found = {name: read_in(folder, name) for name in names}
            finally:
                os.close(folder)
            if len(set(found.values())) != 1:
                mixtures.append(found)

    def push() -> None:
        for number in range(15):
            clone.commit(dict.fromkeys(names, str(number)))
            clone.push()

    pusher = threading.Thread(target=push)
    reader = threading.Thread(target=read)
    for thread in (pusher, reader):
        thread.start()
    while pusher.is_alive():
        commits.update()
    commits.update()
    finished.set()
    reader.join()
    assert mixtures == []
    assert set(files(settings).values()) == {"14"}


def test_the_last_commit_stays_while_the_server_is_gone(tmp_path: Path, credentials: Path) -> None:
    with served(tmp_path / "server") as (address, port):
        clone = make_clone(tmp_path / "clone", address)
        settings = Settings(address, folder=tmp_path / "airflow", credentials=credentials)
        commits = start(settings)
        clone.commit({"one.py": "1"})
        clone.push()
        commits.update()
    assert failure(commits).code == "UNREACHABLE"
    assert files(settings) == {"one.py": "1"}
    with served(tmp_path / "server", port):
        clone.commit({"one.py": "2"})
        clone.push()
        commits.update()
    assert files(settings) == {"one.py": "2"}


def test_a_restarted_process_continues(clone: Clone, settings: Settings) -> None:
    clone.commit({"one.py": "1"})
    clone.push()
    start(settings).update()
    (settings.folder / "commits" / ".unfinished-abc").mkdir()
    (settings.folder / "repository" / "shallow.lock").touch()
    commits = start(settings)
    assert not commits.update(), "nothing has changed"
    clone.commit({"one.py": "2"})
    clone.push()
    assert commits.update()
    assert files(settings) == {"one.py": "2"}
    assert not list((settings.folder / "commits").glob(".unfinished*"))


def test_a_damaged_clone_is_made_again(clone: Clone, settings: Settings) -> None:
    commits = start(settings)
    clone.commit({"one.py": "1"})
    clone.push()
    commits.update()
    shutil.rmtree(settings.folder / "repository" / "objects")
    clone.commit({"one.py": "2"})
    clone.push()
    for _ in range(2):
        failure(commits)
    assert files(settings) == {"one.py": "1"}
    commits.update()
    assert files(settings) == {"one.py": "2"}


def test_problems_have_codes_and_reasons(
    clone: Clone, settings: Settings, credentials: Path
) -> None:
    assert failure(start(settings)).code == "REPOSITORY_EMPTY"
    clone.commit({"one.py": "1"})
    clone.push()
    missing = failure(start(replace(settings, branch="prod")))
    assert (missing.code, missing.reason) == (
        "BRANCH_MISSING",
        "there is no branch prod; the branches are main",
    )
    folder = failure(start(replace(settings, subfolder="dags")))
    assert folder.code == "SUBFOLDER_MISSING"
    assert "'dags'" in folder.reason
    unknown = failure(start(replace(settings, repo=settings.repo.replace("dags.", "other."))))
    assert unknown.code == "REPOSITORY_MISSING"
    (credentials / "password").write_text("wrong")
    refused = failure(start(settings))
    assert refused.code == "UNAUTHORISED"
    assert "wrong" not in refused.reason
    (credentials / "password").unlink()
    none = failure(start(settings))
    assert none.code == "UNAUTHORISED"
    assert "airflow-git" in none.reason


def test_a_key_for_ssh_needs_known_hosts(settings: Settings, credentials: Path) -> None:
    (credentials / "ssh-privatekey").write_text("key")
    found = failure(start(settings))
    assert (found.code, "known_hosts" in found.reason) == ("HOST_KEY_UNKNOWN", True)


@pytest.fixture
def ssh(tmp_path: Path, clone: Clone, credentials: Path) -> Iterator[SshServer]:
    """Serves the same repository over SSH; the Secret has a key instead of a password."""
    clone.commit({"one.py": "1"})
    clone.push()
    with ssh_server(tmp_path / "server") as server:
        (credentials / "password").unlink()
        (credentials / "ssh-privatekey").write_text(server.client_key)
        (credentials / "known_hosts").write_text(server.known_hosts)
        yield server


def test_a_repository_is_followed_over_ssh(
    ssh: SshServer, clone: Clone, settings: Settings
) -> None:
    commits = start(replace(settings, repo=ssh.url))
    assert commits.update()
    clone.commit({"one.py": "2"})
    clone.push()
    assert commits.update()
    assert files(settings) == {"one.py": "2"}


def test_a_key_without_its_last_line_end_is_accepted(
    ssh: SshServer, settings: Settings, credentials: Path
) -> None:
    (credentials / "ssh-privatekey").write_text(ssh.client_key.rstrip())
    assert start(replace(settings, repo=ssh.url)).update()


def test_problems_of_ssh_have_codes(
    ssh: SshServer, settings: Settings, credentials: Path, tmp_path: Path
) -> None:
    over_ssh = replace(settings, repo=ssh.url)
    (credentials / "known_hosts").write_text("")
    assert failure(start(over_ssh)).code == "HOST_KEY_UNKNOWN"
    with ssh_server(tmp_path / "server") as other:
        host, _, _ = ssh.known_hosts.partition(" ")
        _, _, key = other.known_hosts.partition(" ")
        (credentials / "known_hosts").write_text(f"{host} {key}")
        assert failure(start(over_ssh)).code == "HOST_KEY_CHANGED"
        (credentials / "known_hosts").write_text(ssh.known_hosts)
        (credentials / "ssh-privatekey").write_text(other.client_key)
        assert failure(start(over_ssh)).code == "UNAUTHORISED"
    (credentials / "ssh-privatekey").write_text("no key")
    assert failure(start(over_ssh)).code == "UNAUTHORISED"
    (credentials / "ssh-privatekey").write_text(ssh.client_key)
    missing = replace(settings, repo=ssh.url.replace("dags.", "other."))
    assert failure(start(missing)).code == "REPOSITORY_MISSING"


def test_a_private_authority_is_trusted_if_the_secret_has_its_certificate(
    tmp_path: Path, settings: Settings, credentials: Path
) -> None:
    authority = PrivateAuthority(tmp_path / "authority")
    with served(tmp_path / "secure", tls=authority.issue(["127.0.0.1"])) as (url, _):
        over_tls = replace(settings, repo=url)
        assert failure(start(over_tls)).code == "CERTIFICATE_UNKNOWN"
        (credentials / "ca.crt").write_bytes(authority.certificate.read_bytes())
        assert failure(start(over_tls)).code == "REPOSITORY_EMPTY"
        (credentials / "password").unlink()
        assert failure(start(over_tls)).code == "UNAUTHORISED"


def test_the_login_is_no_argument_of_any_process(
    clone: Clone, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone.commit({"one.py": "1"})
    clone.push()
    started: list[str] = []
    popen = subprocess.Popen

    def record(argv: list[str], **options: object) -> object:
        started.append(repr(argv) + repr(options.get("env")))
        return popen(argv, **options)  # type: ignore[call-overload]

    monkeypatch.setattr("git_sync.git.subprocess.Popen", record)
    start(settings).update()
    assert started
    assert not any(PASSWORD in each for each in started)


def test_a_long_fetch_does_not_read_as_a_stopped_synchronization(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks: list[None] = []
    monkeypatch.setattr("git_sync.git.TICK_SECONDS", 0.02)
    git = Git(settings, tmp_path, tick=lambda: ticks.append(None))
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nsleep 0.3\necho done\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    slow.rename(tmp_path / "git")
    assert git.remote("fetch") == "done\n"
    assert len(ticks) > 2
    with pytest.raises(SyncError, match=r"no answer within 0.1 s"):
        git.remote("fetch", timeout=0.1)


def test_the_state_is_written_when_it_changes(clone: Clone, settings: Settings) -> None:
    written: list[dict[str, str]] = []
    lines: list[str] = []
    report = Report(lambda text: written.append(json.loads(text)), lines.append)
    commits = start(settings)
    look(settings, commits, report)
    look(settings, commits, report)
    commit = clone.commit({"one.py": "1"}, "first")
    clone.push()
    look(settings, commits, report)
    assert [each["state"] for each in written] == ["empty", "synced"]
    assert written[1]["commit"] == commit
    assert written[1]["subject"] == "first"
    assert lines == [
        "empty REPOSITORY_EMPTY: the repository has no commit yet",
        f"synced {commit[:10]} first",
    ]


def test_a_state_that_cannot_be_written_is_written_later() -> None:
    answers: list[Callable[[str], None]] = []
    lines: list[str] = []

    def write(text: str) -> None:
        answers.pop(0)(text)

    def refuse(_: str) -> None:
        raise OSError("no route")

    written: list[str] = []
    answers += [refuse, written.append]
    report = Report(write, lines.append)
    report.show("synced", commit="abc")
    report.show("synced", commit="abc")
    assert len(written) == 1
    assert lines[-1] == "cannot write the status: no route"


def test_the_state_is_written_again_during_a_long_interval(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        nonlocal now
        slept.append(seconds)
        now += seconds

    for module in (main_module, report_module):
        monkeypatch.setattr(module.time, "monotonic", lambda: now)
    monkeypatch.setattr(main_module.time, "sleep", sleep)
    monkeypatch.setattr(main_module, "ALIVE", tmp_path / "alive")
    written: list[str] = []
    report = Report(written.append, print)
    report.show("synced", commit="abc")
    idle = SimpleNamespace(tend=lambda: None, tend_in=float("inf"))
    main_module.wait(idle, report, now + 3600)  # type: ignore[arg-type]
    assert max(slept) <= 30, "the liveness probe looks at a file that each turn touches"
    assert len(written) >= 100


def test_settings_come_from_variables() -> None:
    found = read_settings(
        {
            "GIT_SYNC_REPO": "https://git.example/dags.git",
            "GIT_SYNC_BRANCH": "prod",
            "GIT_SYNC_SUBFOLDER": "/dags/",
            "GIT_SYNC_INTERVAL": "2.5",
            "GIT_SYNC_DEPTH": "0",
            "GIT_SYNC_SECRET": "login",
        }
    )
    assert found == Settings("https://git.example/dags.git", "prod", "dags", 2.5, 0, secret="login")
