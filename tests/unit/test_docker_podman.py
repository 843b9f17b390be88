"""Podman: Docker's commands in its terms, its answers in Docker's, and the choice of it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from docker.errors import APIError

from devstack.docker.client import DockerClient
from devstack.docker.engine import DOCKER, PODMAN, choose_engine, is_podman_emulation
from devstack.docker.errors import translate_docker_errors
from devstack.docker.podman import (
    PodmanRunner,
    engine_of,
    full_name,
    podman_command,
    pulled_name,
    short_name,
    with_engine,
)
from devstack.docker.podman_client import engine_client
from devstack.docker.podman_nodes import build_create_command, named_volumes
from devstack.docker.recognition import CONTROLLERS
from devstack.errors import DevstackError
from devstack.progress import Silent
from tests.fakes.runner import FakeRunner

DIGEST = "sha256:" + "a" * 64


@pytest.fixture
def inner() -> FakeRunner:
    return FakeRunner()


@pytest.fixture
def client(inner: FakeRunner) -> DockerClient:
    return engine_client(PodmanRunner(inner), "owner")


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("devstack/node:v1.37", "docker.io/devstack/node:v1.37"),
        ("alpine:3", "docker.io/library/alpine:3"),
        ("registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10"),
        ("registry:5000/team/model:1", "registry:5000/team/model:1"),
    ],
)
def test_images_have_the_names_that_docker_means(short: str, full: str) -> None:
    assert full_name(short) == full
    assert short_name(full) == short
    assert full_name(full) == full


def test_an_image_of_podmans_own_is_found_by_its_short_name() -> None:
    assert short_name("localhost/team/model:1") == "team/model:1"


def test_pulls_are_by_digest_without_the_tag() -> None:
    assert pulled_name(f"kindest/node:v1.37.0@{DIGEST}") == f"docker.io/kindest/node@{DIGEST}"
    assert pulled_name(f"r:5000/a:1@{DIGEST}") == f"r:5000/a@{DIGEST}"
    assert pulled_name("alpine:3") == "docker.io/library/alpine:3"


@pytest.mark.parametrize(
    ("docker", "podman"),
    [
        ("pull a/b:1", "pull docker.io/a/b:1"),
        (f"tag a/b:1@{DIGEST} c/d:2", f"tag docker.io/a/b@{DIGEST} docker.io/c/d:2"),
        ("tag a/b:1 c/d:2", "tag a/b:1 docker.io/c/d:2"),
        ("commit --change X name c/d:2", "commit --format docker --change X name docker.io/c/d:2"),
        ("build --tag c/d:2 --file - x", "build --format docker --tag docker.io/c/d:2 --file - x"),
        ("run --rm a/b:1 true", "run --pull never --http-proxy=false --rm a/b:1 true"),
        ("exec node true", "exec node true"),
        (
            "save --output f -- a/b:1",
            "save --multi-image-archive --format docker-archive --output f -- docker.io/a/b:1",
        ),
    ],
)
def test_commands_of_docker_are_run_by_podman(docker: str, podman: str) -> None:
    assert podman_command(["docker", *docker.split()]) == ["podman", *podman.split()]


def test_other_programs_are_run_as_they_are(inner: FakeRunner) -> None:
    inner.answer("kind", stdout="v0.33")
    runner = PodmanRunner(inner)
    assert runner.run(["kind", "version"]).stdout == "v0.33"
    assert inner.argvs == [("kind", "version")]
    assert runner.which("docker") is None
    inner.answer("podman")
    assert runner.which("docker") == "/usr/bin/podman"


@pytest.mark.parametrize("as_list", [True, False])
def test_images_are_described_as_docker_does(
    inner: FakeRunner, client: DockerClient, as_list: bool
) -> None:
    image: dict[str, Any] = {
        "Id": "ab12",
        "RepoTags": ["localhost/a/b:1", "docker.io/a/b:1"],
        "Size": 5,
        "Config": {"Labels": {"devstack.key": "k"}},
    }
    stdout = json.dumps([image], indent=5) if as_list else json.dumps(image) + "\n"
    missing = "Error: inspecting object: c/d:2: image not known"
    inner.answer("podman", "image", "inspect", returncode=125, stdout=stdout, stderr=missing)
    found = client.inspect_images(["a/b:1", "c/d:2"])
    assert list(found) == ["a/b:1"]
    assert found["a/b:1"].id == "sha256:ab12"
    assert found["a/b:1"].key == "k"


def test_a_single_value_of_an_image_is_as_podman_writes_it(
    inner: FakeRunner, client: DockerClient
) -> None:
    inner.answer("podman", "image", "inspect", stdout="amd64\n")
    assert client.image_architecture(f"a/b:1@{DIGEST}") == "amd64"
    assert inner.argvs[0][-1] == f"docker.io/a/b@{DIGEST}"


def test_loaded_images_get_the_names_that_docker_means(
    inner: FakeRunner, client: DockerClient, tmp_path: Path
) -> None:
    inner.answer("podman", stdout="Loaded image: localhost/a/b:1\nLoaded image: quay.io/c/d:2\n")
    client.load_images(tmp_path)
    assert inner.argvs[1:] == [
        ("podman", "tag", "localhost/a/b:1", "docker.io/a/b:1"),
        ("podman", "untag", "localhost/a/b:1", "localhost/a/b:1"),
    ]


def test_saved_images_have_the_names_that_nodes_look_for(
    inner: FakeRunner, client: DockerClient, tmp_path: Path
) -> None:
    inner.answer("podman")
    client.save_images(tmp_path, ["team/model:1"])
    assert inner.argvs[0] == ("podman", "tag", "team/model:1", "docker.io/team/model:1")
    assert inner.argvs[1][-1] == "docker.io/team/model:1"


def test_a_missing_podman_is_named(client: DockerClient) -> None:
    with pytest.raises(DevstackError) as caught:
        client.require_usable()
    assert caught.value.code == "PODMAN_MISSING"


@pytest.mark.parametrize(
    "message",
    [
        "Cannot connect to Podman. Please verify your connection to the Linux system using "
        "`podman system connection list`, or try `podman machine init`",
        "Error: unable to connect to Podman socket: Get ...: dial unix: no such file",
    ],
)
def test_errors_of_podman_name_podman(
    inner: FakeRunner, client: DockerClient, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CONTAINER_HOST", raising=False)
    inner.answer("podman", "tag", returncode=125, stderr=f"{message}\n")
    with pytest.raises(DevstackError) as caught:
        client.tag("a:1", "b:1")
    assert caught.value.code == "PODMAN_STOPPED"
    assert caught.value.cause == message
    monkeypatch.setenv("CONTAINER_HOST", "unix:///x.sock")
    with pytest.raises(DevstackError) as caught:
        client.tag("a:1", "b:1")
    assert "CONTAINER_HOST is unix:///x.sock" in caught.value.cause
    assert caught.value.remedy.startswith("unset CONTAINER_HOST")


def test_podmans_api_fails_as_podman() -> None:
    with pytest.raises(DevstackError) as caught, translate_docker_errors(PODMAN):
        raise requests.ConnectionError("aborted", FileNotFoundError(2, "No such file"))
    assert caught.value.code == "PODMAN_STOPPED"
    with pytest.raises(DevstackError) as caught, translate_docker_errors(PODMAN):
        raise APIError("in use")
    assert str(caught.value) == "Podman refused: in use"
    assert caught.value.remedy.startswith("see `podman ps -a`")


def test_podman_says_which_controllers_it_may_use(
    inner: FakeRunner, client: DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = SimpleNamespace(info=lambda: {"CPUShares": False})
    monkeypatch.setattr(client, "_connect", lambda: api)
    inner.answer("podman", "info", stdout='["cpu","memory","pids"]\n')
    assert client.info() == {"CPUShares": False, CONTROLLERS: ["cpu", "memory", "pids"]}
    inner.answer("podman", "info", returncode=125)
    assert client.info() == {"CPUShares": False}


def test_kind_uses_the_engine_and_the_network() -> None:
    assert DOCKER.kind_variables("n") == {
        "KIND_EXPERIMENTAL_PROVIDER": "docker",
        "KIND_EXPERIMENTAL_DOCKER_NETWORK": "n",
    }
    assert PODMAN.kind_variables("n") == {
        "KIND_EXPERIMENTAL_PROVIDER": "podman",
        "KIND_EXPERIMENTAL_PODMAN_NETWORK": "n",
    }


def test_a_runner_tells_its_engine(inner: FakeRunner) -> None:
    assert engine_of(with_engine(inner, PODMAN)) == PODMAN
    assert with_engine(inner, DOCKER) is inner
    assert engine_of(inner) == DOCKER


class Installed(FakeRunner):
    """Programs in a folder."""

    def __init__(self, folder: Path, *programs: str) -> None:
        super().__init__(programs)
        self.folder = folder

    def which(self, program: str) -> str | None:
        """Return the program's path."""
        return str(self.folder / program) if program in self.programs else None


@pytest.fixture
def socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where Docker's socket would be."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    for module in ("context", "engine"):
        name = f"devstack.docker.{module}.DEFAULT_HOST"
        monkeypatch.setattr(name, f"unix://{tmp_path}/docker.sock")
    return tmp_path / "docker.sock"


def test_docker_is_chosen_if_both_engines_are_there(tmp_path: Path, socket: Path) -> None:
    socket.touch()
    (tmp_path / "docker").write_bytes(b"\x7fELF podman")
    assert choose_engine("auto", Installed(tmp_path, "docker", "podman")) == DOCKER
    assert choose_engine("podman", Installed(tmp_path, "docker", "podman")) == PODMAN


def test_podman_is_chosen_if_docker_is_not_there(tmp_path: Path, socket: Path) -> None:
    assert choose_engine("auto", Installed(tmp_path, "podman")) == PODMAN
    assert choose_engine("auto", Installed(tmp_path, "docker", "podman")) == PODMAN
    assert choose_engine("auto", Installed(tmp_path, "docker")) == DOCKER
    assert choose_engine("auto", Installed(tmp_path)) == DOCKER
    assert choose_engine("docker", Installed(tmp_path, "podman")) == DOCKER


@pytest.mark.usefixtures("socket")
def test_a_selected_engine_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docker").write_bytes(b"\x7fELF")
    monkeypatch.setenv("DOCKER_CONTEXT", "colima")
    assert choose_engine("auto", Installed(tmp_path, "docker", "podman")) == DOCKER
    monkeypatch.delenv("DOCKER_CONTEXT")
    monkeypatch.setenv("DOCKER_HOST", "unix:///x.sock")
    assert choose_engine("auto", Installed(tmp_path, "docker", "podman")) == DOCKER


def test_the_docker_of_podman_is_recognized(tmp_path: Path, socket: Path) -> None:
    socket.touch()
    script = tmp_path / "docker"
    script.write_text('#!/bin/sh\nexec /usr/bin/podman "$@"\n')
    assert is_podman_emulation(script)
    assert choose_engine("auto", Installed(tmp_path, "docker", "podman")) == PODMAN
    script.unlink()
    (tmp_path / "podman").touch()
    script.symlink_to("podman")
    assert is_podman_emulation(script)


def test_dockers_socket_may_be_podmans(tmp_path: Path, socket: Path) -> None:
    (tmp_path / "podman.sock").touch()
    socket.symlink_to("podman.sock")
    (tmp_path / "docker").write_bytes(b"\x7fELF")
    assert choose_engine("auto", Installed(tmp_path, "docker", "podman")) == PODMAN


def test_a_node_is_created_like_another_with_a_volume_of_its_own() -> None:
    attrs = {
        "HostConfig": {"Devices": [{"PathOnHost": "/dev/fuse"}]},
        "Mounts": [{"Type": "volume", "Name": "v1"}, {"Type": "bind", "Source": "/lib/modules"}],
    }
    body = {
        "Env": ["HOSTNAME=old", "container=podman"],
        "Labels": {"role": "worker"},
        "Image": "sha256:ab12",
        "HostConfig": {"Binds": ["v1:/var:suid", "/lib/modules:/lib/modules:ro", "/a:/b:ro"]},
        "NetworkingConfig": {"EndpointsConfig": {"net": {}}},
    }
    argv = build_create_command(attrs, "node", "v2", body)
    text = " ".join(argv)
    assert text.startswith("docker create --name node --hostname node --net net --privileged")
    assert "--volume v2:/var:suid,exec,dev --volume /lib/modules:/lib/modules:ro" in text
    assert text.endswith("--volume /a:/b:ro --device /dev/fuse ab12")
    assert "v1" not in text
    assert "HOSTNAME=old" not in text
    assert "--label role=worker" in text
    assert named_volumes(attrs) == ["v1"]


def test_a_build_gives_the_full_name(
    inner: FakeRunner, client: DockerClient, tmp_path: Path
) -> None:
    inner.answer("podman")
    client.build_file(tmp_path / "Dockerfile", "team/model:1", Silent())
    assert "docker.io/team/model:1" in inner.argvs[0]


class Node:
    """A node's container."""

    name = "node"


def test_programs_of_nodes_are_run_by_the_command(inner: FakeRunner, client: DockerClient) -> None:
    inner.answer("podman", "exec", "node", "cat", stdout="text")
    inner.answer("podman", "exec", "node", "false", returncode=1, stderr="wrong")
    assert client.execute(Node(), ["cat"]) == "text"
    assert client.execute(Node(), ["false"]) == ""
    client.require(Node(), ["cat"], "message")
    with pytest.raises(DevstackError) as caught:
        client.require(Node(), ["false"], "message")
    assert caught.value.code == "NODE_UNWRITABLE"
    assert caught.value.output == "wrong"
