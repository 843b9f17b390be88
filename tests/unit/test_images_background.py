"""Images that are pulled in the background, while a cluster is created from the first of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from devstack.docker.client import DockerClient, Present
from devstack.docker.registries import EngineRefusedError, Event
from devstack.errors import DevstackError
from devstack.images import ImageStore, registries
from devstack.images.catalogue import IMAGES
from tests.fakes.runner import FakeRunner, Recorder

NAMES = ["node", "minio"]


class Engine:
    """An engine that pulls the node's image at once, and MinIO's when it may."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.may_pull = threading.Event()
        self.error = ""
        self.present: set[str] = set()
        monkeypatch.setattr(registries, "ask_registry", lambda *_: None)
        monkeypatch.setattr(registries, "pull_image", self._pull)
        monkeypatch.setattr(DockerClient, "info", lambda _: {})
        monkeypatch.setattr(DockerClient, "tag", lambda _, __, target: self.present.add(target))
        monkeypatch.setattr(DockerClient, "inspect_images", lambda _, names: self._inspect(names))

    def _pull(
        self,
        reference: str,
        on_event: Callable[[Event], None],
        check: Callable[[], None],
        *_: object,
    ) -> None:
        if "minio" not in reference:
            return
        while not self.may_pull.wait(0.01):
            check()
        if self.error:
            raise EngineRefusedError(self.error)

    def _inspect(self, references: Sequence[str]) -> dict[str, Present]:
        return {each: Present("", 5) for each in references if each in self.present}


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setenv("DEVSTACK_CACHE", str(tmp_path))
    return Engine(monkeypatch)


@pytest.fixture
def store(engine: Engine) -> Iterator[ImageStore]:
    store = ImageStore(FakeRunner(), Recorder(), "pull")
    yield store
    engine.may_pull.set()
    store.cancel()


def test_the_first_image_is_there_before_the_others(engine: Engine, store: ImageStore) -> None:
    store.start(NAMES, "node")
    assert engine.present == {IMAGES["node"].reference}
    engine.may_pull.set()
    store.finish()
    assert engine.present == {IMAGES[name].reference for name in NAMES}


def test_an_error_of_the_others_is_raised_when_they_are_needed(
    engine: Engine, store: ImageStore
) -> None:
    store.start(NAMES, "node")
    engine.error = "toomanyrequests: later"
    engine.may_pull.set()
    with pytest.raises(DevstackError) as raised:
        store.finish()
    assert raised.value.code == "REGISTRY_RATE_LIMIT"


def test_a_cancelled_pull_ends(engine: Engine, store: ImageStore) -> None:
    store.start(NAMES, "node")
    store.cancel()
    store.finish()
    assert engine.present == {IMAGES["node"].reference}


def test_nothing_is_in_the_background_if_only_others_are_missing(
    engine: Engine, store: ImageStore
) -> None:
    engine.present = {IMAGES["node"].reference}
    engine.error = "toomanyrequests: later"
    engine.may_pull.set()
    with pytest.raises(DevstackError):
        store.start(NAMES, "node")
