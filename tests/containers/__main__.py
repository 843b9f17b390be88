"""Compile the programs that only tests run, into the cache: `python -m tests.containers`."""

from devstack.images.artifact_cache import ArtifactCache
from devstack.images.golang import Compiler
from devstack.process import SubprocessRunner
from devstack.progress import Silent
from tests.containers import COSCHEDULER, KWOK
from tests.containers.upstream.registry_data import ensure_registry_data
from tests.e2e.compose_plugin import docker_has_compose, plugin_folder

if __name__ == "__main__":
    Compiler(SubprocessRunner(), Silent(), ArtifactCache()).ensure([KWOK, COSCHEDULER])
    ensure_registry_data()
    if not docker_has_compose():
        plugin_folder()
