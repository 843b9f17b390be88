"""An engine that maps users (userns-remap): nodes start there, and so must helper containers."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from devstack.docker.client import DockerClient
from devstack.docker.folders import require_mountable
from devstack.docker.recognition import recognize
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
        # Nodes are privileged; kind starts them with this option.
        refused = engine.run("docker", "run", "--rm", "--privileged", ROOT, "true", check=False)
        assert "privileged mode is incompatible with user namespaces" in refused.stderr

        monkeypatch.setenv("DOCKER_HOST", engine.docker_host)
        client = DockerClient(SubprocessRunner(), owner="mapped")
        assert "name=userns" in client.info()["SecurityOptions"]
        files = tmp_path / "files"
        files.mkdir(mode=0o700)
        (files / "text").write_text("seen")
        client.extract(ROOT, 'cat /etc/passwd >"$1"', files / "users")
        assert (files / "users").read_text().startswith("root:")
        client.change(ROOT, "cp /files/text /text && unshare --mount true", files, "changed:1", [])
        shown = engine.run("docker", "run", "--rm", "changed:1", "cat", "/text")
        assert shown.stdout == "seen"
        product = recognize(client.info(), client.version())
        require_mountable(SubprocessRunner(), ROOT, files, product, {})
        (settings,) = json.loads(engine.run("docker", "image", "inspect", "changed:1").stdout)
        assert settings["Config"]["Cmd"]
