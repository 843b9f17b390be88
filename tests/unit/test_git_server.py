"""The Git server, with a real git as its client."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.fakes.git_repository import PASSWORD, USER, Clone, make_clone, served


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with served(tmp_path / "server") as (address, _):
        yield address


@pytest.fixture
def clone(tmp_path: Path, url: str) -> Clone:
    return make_clone(tmp_path / "clone", url)


def test_what_is_pushed_is_fetched(tmp_path: Path, clone: Clone) -> None:
    clone.commit({"one.py": "1"})
    clone.push()
    clone.git("clone", "--quiet", clone.url, str(tmp_path / "other"))
    assert (tmp_path / "other" / "one.py").read_text() == "1"


def test_a_large_push_arrives(tmp_path: Path, clone: Clone) -> None:
    # More than http.postBuffer: git sends it in chunks, after it has asked for permission.
    (clone.folder / "model.bin").write_bytes(os.urandom(5_000_000))
    clone.commit({"one.py": "1"})
    clone.push()
    clone.git("clone", "--quiet", clone.url, str(tmp_path / "other"))
    assert (tmp_path / "other" / "model.bin").stat().st_size == 5_000_000


def test_a_branch_can_be_replaced_and_deleted(clone: Clone) -> None:
    clone.commit({"one.py": "1"})
    clone.push()
    clone.push(branch="other")
    clone.git("commit", "--quiet", "--amend", "--message", "again")
    clone.push("--force")
    clone.git("push", "--quiet", clone.url, "--delete", "other")
    assert clone.git("ls-remote", "--heads", clone.url).split("\t")[1] == "refs/heads/main"


@pytest.mark.parametrize("login", [None, (USER, "wrong"), ("root", PASSWORD), (USER, "")])
def test_only_the_user_is_served(url: str, login: tuple[str, str] | None) -> None:
    answer = requests.get(f"{url}/info/refs?service=git-upload-pack", auth=login, timeout=10)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="git"'


@pytest.mark.parametrize(
    "path",
    [
        "/HEAD",
        "/config",
        "/info/refs",
        "/info/refs?service=x",
        "/../../etc/passwd",
        "/objects/pack",
    ],
)
def test_other_files_are_not_served(url: str, path: str) -> None:
    assert requests.get(url + path, auth=(USER, PASSWORD), timeout=10).status_code == 404


def test_probes_need_no_login(url: str) -> None:
    assert requests.get(url.replace("/dags.git", "/ready"), timeout=10).text == "ready\n"


def test_requests_are_logged_without_the_login(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    requests.get(f"{url.rpartition('/')[0]}/ready", timeout=10)
    path = "info/refs?service=git-receive-pack"
    requests.get(f"{url}/{path}", auth=(USER, PASSWORD), timeout=10)
    requests.get(f"{url}/{path}", auth=(USER, "wrong"), timeout=10)
    lines = capsys.readouterr().out.splitlines()
    assert [line.rpartition('" ')[2].split()[0] for line in lines] == ["200", "401"]
    assert all(path in line and PASSWORD not in line for line in lines)
