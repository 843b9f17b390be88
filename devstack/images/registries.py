"""Which registries the engine reaches, and pulling images by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from devstack.docker.engine import DOCKER, Engine
from devstack.docker.registries import EngineRefusedError, ask_registry, pull_image
from devstack.errors import DevstackError
from devstack.image_names import split_registry
from devstack.images.pull_errors import (
    STALL_SECONDS,
    STALLED,
    Fault,
    cannot_pull,
    find_fault,
)
from devstack.images.pull_progress import PullActivity, PullProgress, total_size
from devstack.parallel import in_parallel, raise_if_interrupted
from devstack.progress import Progress

PULLS_AT_ONCE = 3
"""The engine unpacks each image on one CPU; more at once would only delay those needed first."""
PROBE_SECONDS = 8.0
"""How long a registry may take to answer; all are asked at once."""
OF_REGISTRY = (
    "REGISTRY_UNREACHABLE",
    "REGISTRY_CERTIFICATE",
    "REGISTRY_PLAIN_HTTP",
    "REGISTRY_INVALID",
    "REGISTRY_BLOCKED",
)
"""The faults that all images of a registry share; others appear when each image is pulled."""
TRANSIENT = ("PULL_INTERRUPTED", STALLED.code)
"""The faults after which a pull is tried once more: the engine keeps complete layers."""


@dataclass(frozen=True)
class Pull:
    """An image to pull.

    Attributes:
        reference: where it is pulled from, by tag or digest.
        size: bytes, about; 0 if it is not known.
        title: the image as it is shown, with its tag; by default ``reference``.
        engine: the engine that pulls it.
        published: the published image, if ``reference`` is that of a mirror; else empty.
    """

    reference: str
    size: int = 0
    title: str = ""
    engine: Engine = DOCKER
    published: str = ""

    @property
    def registry(self) -> str:
        """The registry's name."""
        return split_registry(self.reference)[0]


def unreachable_registries(pulls: Sequence[Pull]) -> dict[str, DevstackError]:
    """Return why nothing can be pulled from a registry, by its name; those that work are left out.

    The engine is asked for one image of each registry, all at the same time.
    """
    first = {pull.registry: pull for pull in reversed(pulls)}
    errors = in_parallel(_ask, first.values())
    return {
        registry: error for registry, error in zip(first, errors, strict=True) if error is not None
    }


def pull_images(
    pulls: Sequence[Pull], progress: Progress, then: Callable[[Pull], None]
) -> Mapping[Pull, DevstackError]:
    """Pull images at the same time; return the errors of those that could not be pulled.

    Args:
        pulls: what to pull, in the order in which it is to begin.
        progress: shows the bytes of all together.
        then: is called with each that was pulled, in a thread.
    """
    size = total_size([pull.size for pull in pulls])
    what = f"{len(pulls)} images" if len(pulls) > 1 else pulls[0].title or pulls[0].reference
    title = f"Pull {what}" + (f" ({size})" if size else "")
    counted = PullProgress(len(pulls), sum(pull.size for pull in pulls), progress)

    def pull_one(pull: Pull) -> DevstackError | None:
        try:
            _pull_with_retry(pull, counted, progress)
            then(pull)
        except DevstackError as error:
            return error
        counted.complete()
        return None

    progress.start(title)
    state = "failed"
    try:
        errors = in_parallel(pull_one, pulls, PULLS_AT_ONCE)
        state = "failed" if any(errors) else "done"
    finally:
        progress.done(title, state)
    return {pull: error for pull, error in zip(pulls, errors, strict=True) if error is not None}


def _ask(pull: Pull) -> DevstackError | None:
    try:
        ask_registry(pull.reference, PROBE_SECONDS, pull.engine, raise_if_interrupted)
    except EngineRefusedError as error:
        if find_fault(error.message).code in OF_REGISTRY:
            return _cannot_pull(pull, error.message)
    return None


def _pull_with_retry(pull: Pull, counted: PullProgress, progress: Progress) -> None:
    try:
        _pull(pull, counted)
    except DevstackError as error:
        if error.code not in TRANSIENT:
            raise
        progress.note(f"{error}; trying again")
        _pull(pull, counted)


def _pull(pull: Pull, counted: PullProgress) -> None:
    activity = PullActivity(counted)

    def check() -> None:
        raise_if_interrupted()
        if activity.idle_seconds > STALL_SECONDS:
            raise _cannot_pull(pull, "", STALLED)

    try:
        pull_image(pull.reference, activity.add, check, pull.engine)
    except EngineRefusedError as error:
        raise _cannot_pull(pull, error.message) from error


def _cannot_pull(pull: Pull, message: str, fault: Fault | None = None) -> DevstackError:
    return cannot_pull(pull.reference, message, fault, pull.published)
