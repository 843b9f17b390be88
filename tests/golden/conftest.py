"""Golden files: what devstack prints, stored for review and comparison.

``pytest --update-golden`` rewrites them; read the diff.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from devstack.config import StackSpec
from devstack.lifecycle import registries_step
from devstack.providers.kind import registry_hosts
from devstack.stack import Stack
from tests.fakes.stack import World

FILES = Path(__file__).parent / "files"

_CHECKSUM = re.compile(r"(airflow-setup-)[0-9a-f]{8}")

Golden = Callable[[str, str], None]


@pytest.fixture
def golden(request: pytest.FixtureRequest, home: Path) -> Golden:
    """Return a function that compares a text with a golden file.

    The test's own folder reads ``HOME`` in the file; a Job's checksum, of
    passwords too, reads ``CHECKSUM``.
    """
    update = bool(request.config.getoption("--update-golden"))

    def compare(name: str, text: str) -> None:
        text = _CHECKSUM.sub(r"\1CHECKSUM", text.replace(str(home), "HOME"))
        file = FILES / name
        if update:
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
        assert file.exists(), f"there is no golden file {name}; --update-golden writes it"
        assert text == file.read_text(), f"{name} differs; --update-golden rewrites it"

    return compare


@pytest.fixture(autouse=True)
def enough_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """No warning about the memory that other programs leave on this machine."""
    found = psutil.virtual_memory()._replace(available=64 << 30)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: found)


@pytest.fixture(autouse=True)
def no_authorities(monkeypatch: pytest.MonkeyPatch) -> None:
    """No certificate authorities of this machine's own."""
    monkeypatch.setattr(registries_step, "read_authorities", lambda _variables: "")
    monkeypatch.setattr(registry_hosts, "trusted_authorities", dict)


@pytest.fixture
def world(home: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A machine with stand-ins for cluster, services and programs; commands use it."""
    made = World(monkeypatch)

    def open_stack(spec: StackSpec, _progress: object = None, **options: bool) -> Stack:
        return made.open(spec, **options)

    monkeypatch.setattr("devstack.stack.open_stack", open_stack)
    monkeypatch.setattr("devstack.lifecycle.status.open_stack", open_stack)
    return made
