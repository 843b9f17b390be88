"""The engine that the docker command uses, also if it is not at the default address."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from devstack.docker.context import connect, current_context
from devstack.errors import DevstackError

HOST = "unix:///home/me/.colima/docker.sock"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of Docker's configuration with a context named colima."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    folder = tmp_path / "contexts" / "meta" / hashlib.sha256(b"colima").hexdigest()
    folder.mkdir(parents=True)
    endpoint = {"docker": {"Host": HOST, "SkipTLSVerify": False}}
    meta = {"Name": "colima", "Metadata": {}, "Endpoints": endpoint}
    (folder / "meta.json").write_text(json.dumps(meta))
    return tmp_path


def test_the_current_context_is_that_of_the_docker_command(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert current_context() == "default"
    (config / "config.json").write_text('{"currentContext": "colima"}')
    assert current_context() == "colima"
    monkeypatch.setenv("DOCKER_CONTEXT", "desktop-linux")
    assert current_context() == "desktop-linux"
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    assert current_context() == "default"


def test_a_broken_configuration_means_the_default(config: Path) -> None:
    (config / "config.json").write_text("[")
    assert current_context() == "default"


@pytest.mark.usefixtures("config")
def test_the_engine_of_the_context_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONTEXT", "colima")
    # Without a version it would ask the engine, which does not exist.
    monkeypatch.setattr("docker.api.client.APIClient._retrieve_server_version", lambda _: "1.44")
    assert HOST.removeprefix("unix://") in str(connect().api.adapters["http+docker://"].socket_path)


@pytest.mark.usefixtures("config")
def test_a_contexts_certificates_are_used(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = config / "contexts" / "tls" / hashlib.sha256(b"colima").hexdigest() / "docker"
    folder.mkdir(parents=True)
    for name in ("ca", "cert", "key"):
        (folder / f"{name}.pem").touch()
    seen = {}
    monkeypatch.setattr("docker.DockerClient", lambda **options: seen.update(options))
    monkeypatch.setenv("DOCKER_CONTEXT", "colima")
    connect()
    assert seen["tls"].ca_cert == str(folder / "ca.pem")
    assert seen["tls"].cert == (str(folder / "cert.pem"), str(folder / "key.pem"))


@pytest.mark.usefixtures("config")
def test_an_unknown_context_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONTEXT", "moon")
    with pytest.raises(DevstackError) as caught:
        connect()
    assert caught.value.code == "DOCKER_CONTEXT_UNKNOWN"
    assert "'moon'" in caught.value.message
