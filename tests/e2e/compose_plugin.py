"""`docker compose`, compiled from its Go module where Docker came without it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from devstack.images.artifact_cache import ArtifactCache, digest
from devstack.images.golang import find_go, go_environment
from devstack.images.programs import FLAGS
from devstack.process import SubprocessRunner
from devstack.progress import Silent

SOURCES = Path(__file__).parent / "compose-plugin"
PROGRAM = "github.com/docker/compose/v2/cmd"


def docker_has_compose() -> bool:
    """Return True where ``docker compose`` works as it is."""
    asked = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    return asked.returncode == 0


def plugin_folder() -> Path:
    """Return the DOCKER_CONFIG folder that holds the plugin, compiled once and kept."""
    return ArtifactCache().make("docker-compose", digest(SOURCES, *FLAGS), _compile)


def _compile(folder: Path) -> None:
    runner, cache = SubprocessRunner(), ArtifactCache()
    go = find_go(runner, Silent(), cache)
    plugin = folder / "cli-plugins" / "docker-compose"
    runner.run(
        [go, "build", *FLAGS, "-o", str(plugin), PROGRAM],
        cwd=SOURCES,
        env=go_environment(cache),
    )
