"""An engine that maps users (userns-remap), where kind's nodes start."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from devstack.docker.client import DockerClient
from devstack.docker.folders import require_mountable
from devstack.docker.recognition import recognize
from devstack.errors import DevstackError
from devstack.images.catalogue import IMAGES
from devstack.process import SubprocessRunner
from tests.support.empty_docker import EmptyDocker

IMAGE = IMAGES["task"].reference
ROOT = "root:1"


def test_helper_containers_use_files_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with EmptyDocker(tmp_path / "docker", engine={"userns-remap": "default"}) as engine:
        archive = tmp_path / "image.tar"
        subprocess.run(["docker", "save", "--output", archive, IMAGE], check=True)
        engine.run("docker", "load", "--input", str(archive))
        # As the images that helper containers have.
        engine.run("docker", "create", "--name", "model", IMAGE)
        engine.run("docker", "commit", "--change", "USER root", "model", ROOT)
        monkeypatch.setenv("DOCKER_HOST", engine.docker_host)
        client = DockerClient(SubprocessRunner(), owner="mapped")
        assert "name=userns" in client.info()["SecurityOptions"]
        files = tmp_path / "files"
        files.mkdir(mode=0o700)
        client.extract(ROOT, 'cat /etc/passwd >"$1"', files / "users")
        assert (files / "users").read_text().startswith("root:")
        product = recognize(client.info(), client.version())
        require_mountable(SubprocessRunner(), ROOT, files, product, {})
        # A node image cannot be built there: it is refused, rather than made without files.
        with pytest.raises(DevstackError) as caught:
            client.change(ROOT, "cp /files/text /text", files, "changed:1", [])
        assert "incompatible with user namespaces" in caught.value.output + caught.value.cause
