"""devstack on a machine whose engine has no image, with registries under upstream's names."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from devstack.images.upstream import VARIABLE
from tests.containers.upstream.registry_data import DATA, LIST
from tests.support.commandline import Devstack
from tests.support.empty_docker import EmptyDocker
from tests.support.private_authority import PrivateAuthority
from tests.support.registry import UPSTREAM_HOSTS, Registry
from tests.support.registry_faults import Fault

REGISTRY = "127.0.0.1"


@dataclass(frozen=True)
class Internet:
    """What a machine with registries has.

    Attributes:
        engine: the engine, and the machine around it.
        registry: the registry of all published images.
        images: the list of images for devstack.
    """

    engine: EmptyDocker
    registry: Registry
    images: Path

    def devstack(self, name: str, home: Path, cache: Path | None = None) -> Inside:
        """Return a stack on this machine.

        Args:
            name: its name.
            home: DEVSTACK_HOME.
            cache: the cache of built images, by default the user's own.
        """
        more = {"DEVSTACK_CACHE": str(cache)} if cache else {}
        return Inside(self, name, home, more)

    def change(self, image: str, field: str, value: str) -> None:
        """Change an image's entry in the list of images."""
        text = self.images.read_text()
        head, table, rest = text.partition(f'["{image}"]')
        pattern = re.compile(rf'^{field} = ".*"$', re.MULTILINE)
        changed = pattern.sub(f'{field} = "{value}"', rest, count=1)
        self.images.write_text(head + table + changed)


class Inside(Devstack):
    """A stack on a machine with registries.

    Args:
        internet: the machine.
        name: the stack's name.
        home: DEVSTACK_HOME.
        environment: additional environment variables of each command.
    """

    def __init__(
        self, internet: Internet, name: str, home: Path, environment: Mapping[str, str]
    ) -> None:
        user = {VARIABLE: str(internet.images), "HOME": str(home / "user")}
        environment = {**user, **environment}
        super().__init__(name, home, environment)
        self._engine = internet.engine
        (home / "user").mkdir(parents=True, exist_ok=True)

    def command(self, *argv: str) -> list[str]:
        """Return the argv of a call inside."""
        return self._engine.inside(*super().command(*argv))


@contextmanager
def internet(
    folder: Path,
    published: Path,
    *,
    faults: list[Fault] | None = None,
    disk: str = "",
    engine: Mapping[str, object] | None = None,
    users: Mapping[str, str] | None = None,
) -> Iterator[Internet]:
    """Start the registry and the engine; end both.

    Args:
        folder: for their files.
        published: what `ensure_registry_data` returned.
        faults: what goes wrong, if the registry has a front at all.
        disk: the size of the engine's disk.
        engine: settings of the engine.
        users: those who may pull.
    """
    authority = PrivateAuthority(folder / "authority")
    images = folder / LIST
    shutil.copy(published / LIST, images)
    docker = EmptyDocker(
        folder / "docker",
        hosts=dict.fromkeys(UPSTREAM_HOSTS, REGISTRY),
        authorities=[authority.certificate],
        engine=engine,
        disk=disk,
    )
    with (
        docker,
        Registry(
            folder / "registry",
            data=published / DATA,
            address=REGISTRY,
            port=443,
            network=docker.pid,
            authority=authority,
            faults=faults,
            users=users,
        ) as registry,
    ):
        yield Internet(docker, registry, images)
