"""This machine's logins at registries, from files and from credential helpers."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from devstack.docker.credentials import Credentials
from devstack.errors import DevstackError

PASSWORD = "a:b c \u00fc"
HELPER = """#!/bin/sh
case "$1" in
  list) echo '{"https://index.docker.io/v1/": "me", "kept.corp": "me"}' ;;
  get) read -r server
    case "$server" in
      kept.corp|https://index.docker.io/v1/) echo '{"Username": "me", "Secret": "kept"}' ;;
      token.corp) echo '{"Username": "<token>", "Secret": "kept"}' ;;
      locked.corp) echo "the keychain is locked"; exit 1 ;;
      *) echo "credentials not found in native keychain"; exit 1 ;;
    esac ;;
esac
"""


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    program = tmp_path / "docker-credential-kept"
    program.write_text(HELPER)
    program.chmod(0o755)
    return tmp_path


def configure(folder: Path, **settings: object) -> Credentials:
    (folder / "config.json").write_text(json.dumps(settings))
    return Credentials()


def auth(user: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def test_a_machine_without_configuration_is_logged_in_nowhere(docker: Path) -> None:
    assert Credentials().registries() == []
    assert Credentials().find("docker.io") is None


def test_logins_in_the_file(docker: Path) -> None:
    known = configure(
        docker,
        auths={
            "https://index.docker.io/v1/": auth("me", "hub"),
            "registry.corp:5000": auth("reader", PASSWORD),
            "empty.corp": {},
        },
    )
    assert known.registries() == ["docker.io", "empty.corp", "registry.corp:5000"]
    found = known.find("registry.corp:5000")
    assert found
    assert (found.user, found.password) == ("reader", PASSWORD)
    assert PASSWORD not in repr(found)
    hub = known.find("docker.io")
    assert hub
    assert hub.password == "hub"
    assert known.find("empty.corp") is None


def test_logins_that_a_helper_keeps(docker: Path) -> None:
    known = configure(docker, credsStore="kept", auths={"kept.corp": {}})
    assert known.registries() == ["docker.io", "kept.corp"]
    for registry in known.registries():
        found = known.find(registry)
        assert found
        assert (found.registry, found.user, found.password) == (registry, "me", "kept")
    assert known.find("other.corp") is None


def test_a_helper_of_one_registry(docker: Path) -> None:
    known = configure(docker, credHelpers={"kept.corp": "kept"})
    assert known.registries() == ["kept.corp"]
    assert known.find("kept.corp")


@pytest.mark.parametrize(
    "settings",
    [
        {"credsStore": "kept"},
        {"auths": {"token.corp": {"identitytoken": "secret"}}},
    ],
)
def test_a_token_that_pods_cannot_use_is_an_error(
    docker: Path, settings: dict[str, object]
) -> None:
    with pytest.raises(DevstackError) as caught:
        configure(docker, **settings).find("token.corp")
    assert caught.value.code == "LOGIN_UNSUPPORTED"
    assert "docker login token.corp" in caught.value.remedy


@pytest.mark.parametrize("store", ["kept", "absent"])
def test_a_helper_that_fails_is_an_error(docker: Path, store: str) -> None:
    known = configure(docker, credHelpers={"locked.corp": store})
    with pytest.raises(DevstackError) as caught:
        known.find("locked.corp")
    assert caught.value.code == "CREDENTIALS_UNREADABLE"
    assert ("locked" if store == "kept" else "docker-credential-absent") in caught.value.cause


@pytest.mark.parametrize("text", ["{", '{"auths": {"a.corp": 1}}', '{"auths": {"a": {"auth": 1}}}'])
def test_a_file_that_cannot_be_read_is_an_error(docker: Path, text: str) -> None:
    (docker / "config.json").write_text(text)
    with pytest.raises(DevstackError) as caught:
        Credentials()
    assert caught.value.code == "CREDENTIALS_UNREADABLE"
