"""What is shown of pulls, and when one counts as stalled."""

from __future__ import annotations

import pytest

from devstack.errors import DevstackError
from devstack.images import pull_progress, registries
from devstack.images.pull_progress import PullActivity, PullProgress, megabytes, total_size
from devstack.images.registries import Pull, pull_images
from tests.fakes.runner import Recorder


def downloading(layer: str, current: int, total: int) -> dict[str, object]:
    detail = {"current": current, "total": total}
    return {"id": layer, "status": "Downloading", "progressDetail": detail}


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    times = [100.0]
    monkeypatch.setattr(pull_progress.time, "monotonic", lambda: times[0])
    return times


@pytest.mark.parametrize(
    ("size", "text"), [(61_400_000, "61 MB"), (1_240_000_000, "1.2 GB"), (900, "1 MB")]
)
def test_sizes_are_shown_as_docker_does(size: int, text: str) -> None:
    assert megabytes(size) == text


def test_the_size_of_all_is_shown_only_if_that_of_each_is_known() -> None:
    assert total_size([60_000_000, 40_000_000]) == "about 100 MB"
    assert total_size([60_000_000, 0]) == total_size([]) == ""


def test_layers_that_images_share_count_once(now: list[float]) -> None:
    recorder = Recorder()
    progress = PullProgress(2, 100_000_000, recorder)
    for _image in range(2):
        now[0] += 1
        progress.add(downloading("base", 30_000_000, 40_000_000))
    now[0] += 1
    progress.add(downloading("top", 5_000_000, 10_000_000))
    assert recorder.events[-1] == ("note", "35 MB of about 100 MB, 0 of 2 images")
    now[0] += 1
    progress.add({"id": "base", "status": "Extracting", "progressDetail": {"current": 1}})
    assert recorder.events[-1] == ("note", "45 MB of about 100 MB, 0 of 2 images, unpacking")
    progress.complete()
    assert recorder.events[-1] == ("note", "45 MB of about 100 MB, 1 of 2 images")


def test_messages_without_progress_do_not_keep_a_pull_alive(now: list[float]) -> None:
    progress = PullActivity(PullProgress(1, 0, Recorder()))
    now[0] += 50
    progress.add(downloading("base", 5, 10))
    now[0] += 70
    progress.add({"id": "base", "status": "Retrying in 5 seconds"})
    progress.add({"id": "top", "status": "Waiting"})
    assert progress.idle_seconds == 70


def test_a_repeated_offset_is_no_progress(now: list[float]) -> None:
    """The containerd store reports each 0.1 s what it has, also if nothing arrives."""
    everything = PullProgress(2, 0, Recorder())
    dead, other = PullActivity(everything), PullActivity(everything)
    for second in range(300):
        now[0] += 1
        dead.add(downloading("base", 5, 10))
        other.add(downloading("top", second, 1000))
    assert (dead.idle_seconds, other.idle_seconds) == (299, 0)
    now[0] += 1
    dead.add(downloading("base", 6, 10))
    assert dead.idle_seconds == 0


def test_a_pull_that_waits_for_its_turn_is_not_stalled(now: list[float]) -> None:
    everything = PullProgress(2, 0, Recorder())
    waiting, other = PullActivity(everything), PullActivity(everything)
    waiting.add({"id": "top", "status": "Pulling fs layer"})
    waiting.add({"id": "top", "status": "Waiting"})
    now[0] += 300
    other.add(downloading("base", 5, 10))
    assert waiting.idle_seconds == 0


@pytest.mark.parametrize(("message", "attempts"), [("unexpected EOF", 2), ("manifest unknown", 1)])
def test_an_interrupted_pull_is_tried_once_more(
    message: str, attempts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def pull_image(reference: str, *_: object) -> None:
        tried.append(reference)
        raise registries.EngineRefusedError(message)

    monkeypatch.setattr(registries, "pull_image", pull_image)
    assert pull_images([Pull("quay.io/minio/minio:1")], Recorder(), lambda _: None)
    assert len(tried) == attempts


def test_a_pull_without_progress_is_given_up(
    now: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def pull_image(reference: str, on_event: object, check: object, engine: object) -> None:
        now[0] += registries.STALL_SECONDS - 1
        check()  # type: ignore[operator]
        now[0] += 2
        check()  # type: ignore[operator]

    monkeypatch.setattr(registries, "pull_image", pull_image)
    pull = Pull("quay.io/minio/minio:1")
    errors = pull_images([pull], Recorder(), lambda _: None)
    assert errors[pull].code == "PULL_STALLED"


def test_the_error_of_one_pull_does_not_end_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    failing, other = Pull("quay.io/minio/minio:1"), Pull("docker.io/library/busybox:1")

    def pull_image(reference: str, *_: object) -> None:
        if reference == failing.reference:
            raise registries.EngineRefusedError("manifest unknown")

    monkeypatch.setattr(registries, "pull_image", pull_image)
    finished: list[Pull] = []
    errors = pull_images([failing, other], Recorder(), finished.append)
    assert {pull: error.code for pull, error in errors.items()} == {failing: "IMAGE_NOT_PUBLISHED"}
    assert isinstance(errors[failing], DevstackError)
    assert finished == [other]
