"""`docker compose`, compiled from its Go module if Docker has none."""

from __future__ import annotations

import subprocess
from pathlib import Path

from devstack.images.artifact_cache import ArtifactCache, digest
from devstack.images.golang import find_go, go_environment
from devstack.images.kubernetes_versions import DEFAULT
from devstack.images.programs import build_flags
from devstack.process import SubprocessRunner
from devstack.progress import Silent

SOURCES = Path(__file__).parent / "compose-plugin"
PROGRAM = "github.com/docker/compose/v2/cmd"


def docker_has_compose() -> bool:
    """Return True if ``docker compose`` works."""
    done = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    return done.returncode == 0


def plugin_folder() -> Path:
    """Return the DOCKER_CONFIG folder that holds the plugin, compiled once and cached."""
    return ArtifactCache().make("docker-compose", digest(SOURCES, *build_flags(DEFAULT)), _compile)


def _compile(folder: Path) -> None:
    runner, cache = SubprocessRunner(), ArtifactCache()
    go = find_go(runner, Silent(), cache)
    plugin = folder / "cli-plugins" / "docker-compose"
    runner.run(
        [go, "build", *build_flags(DEFAULT), "-o", str(plugin), PROGRAM],
        cwd=SOURCES,
        env=go_environment(cache),
    )
