"""Where images come from: Docker, a registry, packages; and the error if there is none."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from devstack.docker.client import KEY_LABEL, DockerClient, Present
from devstack.docker.registries import EngineRefusedError, Event
from devstack.errors import DevstackError
from devstack.images import ImageStore, registries
from devstack.images import build as recipes
from devstack.images.additions import Additions, addition_key
from devstack.images.catalogue import IMAGES
from devstack.images.mirrors import Mirrors
from devstack.images.upstream import VARIABLE
from tests.fakes.runner import FakeRunner, Recorder

INSPECT = ("docker", "image", "inspect")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVSTACK_CACHE", str(tmp_path))


def image(name: str, key: str | None) -> str:
    labels = {KEY_LABEL: key} if key else {}
    reference = IMAGES[name].reference
    return json.dumps({"RepoTags": [reference], "Size": 5, "Config": {"Labels": labels}}) + "\n"


def docker(*present: str, returncode: int = 0) -> FakeRunner:
    runner = FakeRunner()
    lacking = "Error: No such image: x" if returncode else ""
    runner.answer(*INSPECT, stdout="".join(present), stderr=lacking, returncode=returncode)
    return runner


def store(runner: FakeRunner, source: str = "auto", offline: bool = False) -> ImageStore:
    return ImageStore(runner, Recorder(), source, offline)


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []

    def build(wanted: Sequence[str], *_: object) -> list[object]:
        names.extend(wanted)
        return []

    monkeypatch.setattr(recipes, "build_images", build)
    return names


@dataclass
class Registries:
    """What the engine says of images: errors by a part of the reference."""

    unreachable: dict[str, str] = field(default_factory=dict)
    failing: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    pulled: list[str] = field(default_factory=list)

    def ask(self, reference: str, timeout: float, *_: object) -> None:
        self.asked.append(reference)
        self._raise(reference, self.unreachable)

    def pull(self, reference: str, on_event: Callable[[Event], None], *_: object) -> None:
        on_event({"id": "layer", "status": "Downloading", "progressDetail": {"current": 5}})
        self._raise(reference, self.failing)
        self.pulled.append(reference)

    def _raise(self, reference: str, errors: dict[str, str]) -> None:
        for part, message in errors.items():
            if part in reference:
                raise EngineRefusedError(message)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Registries:
    known = Registries()
    monkeypatch.setattr(registries, "ask_registry", known.ask)
    monkeypatch.setattr(registries, "pull_image", known.pull)
    monkeypatch.setattr(DockerClient, "info", lambda _: {})
    return known


def pinned(name: str) -> str:
    upstream = IMAGES[name].upstream
    assert upstream
    return upstream.pinned


def warnings(progress: Recorder) -> list[str]:
    return [event[1] for event in progress.events if event[0] == "warn"]


def test_present_images_cost_one_docker_call(built: list[str]) -> None:
    runner = docker(*(image(name, recipes.image_key(name)) for name in ("minio", "jobset")))
    references = store(runner).ensure(["minio", "jobset"])
    assert references == {name: IMAGES[name].reference for name in ("minio", "jobset")}
    assert len(runner.calls) == 1
    assert built == []


def test_a_pulled_image_counts_as_present() -> None:
    assert store(docker(image("minio", None))).present(["minio"]) == {"minio": True}


def test_an_image_built_from_other_inputs_is_outdated_and_built_again(built: list[str]) -> None:
    runner = docker(image("task", "0123456789abcdef"))
    assert store(runner).rows(["task"])[0].source == "outdated"
    store(runner, "build").ensure(["task"])
    assert built == ["task"]


def test_without_a_registry_everything_is_built_after_one_question_for_each(
    built: list[str], engine: Registries
) -> None:
    engine.unreachable = {"": "dial tcp: lookup quay.io: no such host"}
    progress = Recorder()
    names = ["minio", "jobset", "metrics-server", "postgres", "xcom"]
    ImageStore(docker(returncode=1), progress).ensure(names)
    assert built == names
    assert len(engine.asked) == len({"quay.io", "registry.k8s.io", "docker.io"})
    assert engine.pulled == []
    assert len(warnings(progress)) == 3
    assert all(re.search(r"about \d+ minute", text) for text in warnings(progress))


def test_an_image_that_nobody_publishes_is_built_without_a_question(
    built: list[str], engine: Registries
) -> None:
    """`up` that adds the service git to a stack needs this image only."""
    store(docker(returncode=1)).ensure(["git"])
    assert built == ["git"]
    assert engine.asked == []
    assert store(docker(returncode=1)).find_unreachable(["git"]) == {}


def test_images_are_pulled_by_digest_and_tagged_as_manifests_do(
    built: list[str], engine: Registries
) -> None:
    runner = docker(returncode=1)
    runner.answer("docker", "tag")
    progress = Recorder()
    found = iter([{}, {}, {IMAGES["minio"].reference: Present("", 5)}])
    store = ImageStore(runner, progress)
    store._docker.inspect_images = lambda _: next(found, {})  # type: ignore[method-assign]
    store.ensure(["minio"])
    assert "@sha256:" in pinned("minio")
    assert engine.pulled == [pinned("minio")]
    assert ("docker", "tag", pinned("minio"), IMAGES["minio"].reference) in runner.argvs
    assert any("about 60 MB" in event[1] for event in progress.events)
    assert built == []


def test_only_the_image_that_cannot_be_pulled_is_built(
    built: list[str], engine: Registries, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.failing = {"kindest/node": "manifest unknown"}
    runner = FakeRunner()
    tagged: set[str] = set()
    monkeypatch.setattr(
        DockerClient,
        "inspect_images",
        lambda _, references: {each: Present("", 5) for each in references if each in tagged},
    )
    monkeypatch.setattr(DockerClient, "tag", lambda _, source, target: tagged.add(target))
    progress = Recorder()
    ImageStore(runner, progress).ensure(["node", "minio", "jobset"])
    assert sorted(engine.pulled) == sorted([pinned("minio"), pinned("jobset")])
    assert built == ["node"]
    (warning,) = warnings(progress)
    assert warning.startswith("cannot pull node: docker.io does not have it; building the node")
    assert re.search(r"from packages takes about \d+ minute", warning)
    # The next step, too, and what the engine reported of which image.
    assert f"{pinned('node')}: manifest unknown" in warning
    assert "skopeo copy" in warning


def test_pull_does_not_build(built: list[str], engine: Registries) -> None:
    engine.unreachable = {"registry.k8s.io": "connect: connection refused"}
    with pytest.raises(DevstackError) as caught:
        store(docker(returncode=1), "pull").ensure(["jobset"])
    assert caught.value.code == "REGISTRY_UNREACHABLE"
    assert pinned("jobset") in caught.value.message
    assert built == []


def test_a_full_disk_ends_the_command_because_a_build_needs_more(
    built: list[str], engine: Registries
) -> None:
    engine.failing = {"minio": "write /var/lib/docker/tmp/GetImageBlob1: no space left on device"}
    with pytest.raises(DevstackError) as caught:
        store(docker(returncode=1)).ensure(["minio"])
    assert caught.value.code == "DOCKER_DISK_FULL"
    assert built == []


def test_a_disk_that_is_too_small_is_found_before_anything_is_pulled(
    built: list[str], engine: Registries, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    system = os.uname()
    info = {
        "DockerRootDir": str(tmp_path),
        "Name": system.nodename,
        "KernelVersion": system.release,
    }
    monkeypatch.setattr(DockerClient, "info", lambda _: info)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100_000_000))
    with pytest.raises(DevstackError) as caught:
        store(docker(returncode=1)).ensure(["minio"])
    assert caught.value.code == "DOCKER_DISK_FULL"
    assert "240 MB" in caught.value.cause
    assert engine.pulled == []
    # The folder of that name is another one if the engine is in a virtual machine.
    info["KernelVersion"] = "6.6.87.2-linuxkit"
    store(docker(returncode=1)).ensure(["minio"])
    assert engine.pulled != []


def test_an_image_for_another_processor_is_not_used(
    built: list[str], engine: Registries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DockerClient, "info", lambda _: {"Architecture": "x86_64"})
    runner = docker(returncode=1)
    runner.answer("docker", "image", "inspect", "--format", "{{.Architecture}}", stdout="arm64\n")
    with pytest.raises(DevstackError) as caught:
        store(runner, "pull").ensure(["minio"])
    assert caught.value.code == "IMAGE_PLATFORM"


@pytest.fixture
def v1(engine: Registries, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """An engine with cgroup v1 that keeps what is pulled; the references of its images."""
    there: set[str] = set()
    monkeypatch.setattr(DockerClient, "info", lambda _: {"CgroupVersion": "1"})
    monkeypatch.setattr(DockerClient, "tag", lambda _, __, target: there.add(target))
    monkeypatch.setattr(
        DockerClient,
        "inspect_images",
        lambda _, references: {each: Present("", 5) for each in references if each in there},
    )
    return there


def test_on_cgroup_v1_node_images_are_built_with_the_reason(
    built: list[str], engine: Registries, v1: set[str]
) -> None:
    progress = Recorder()
    ImageStore(FakeRunner(), progress).ensure(["node", "minio"])
    assert engine.pulled == [pinned("minio")]
    assert built == ["node"]
    (warning,) = warnings(progress)
    assert warning.startswith("cannot pull node: published node images do not boot on cgroup v1")
    assert "To avoid that: boot this machine with cgroup v2" in warning


def test_on_cgroup_v1_a_node_image_that_was_pulled_is_replaced(
    built: list[str], engine: Registries, v1: set[str]
) -> None:
    v1 |= {IMAGES["node"].reference, IMAGES["minio"].reference}
    assert store(FakeRunner()).present(["node", "minio"]) == {"node": False, "minio": True}
    store(FakeRunner()).ensure(["node", "minio"])
    assert built == ["node"]
    assert engine.pulled == []


def test_on_cgroup_v1_nodes_that_may_only_be_pulled_are_an_error(
    built: list[str], engine: Registries, v1: set[str]
) -> None:
    with pytest.raises(DevstackError) as caught:
        store(FakeRunner(), "pull").ensure(["node"])
    assert caught.value.code == "CGROUP_V1"
    assert engine.asked == built == []


def test_on_cgroup_v1_a_listed_image_that_boots_there_is_pulled(
    built: list[str],
    engine: Registries,
    v1: set[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    other = tmp_path / "upstream.toml"
    other.write_text('["node-1.37"]\nreference = "registry.corp:5000/node:1"\n')
    monkeypatch.setenv(VARIABLE, str(other))
    store(FakeRunner()).ensure(["node"])
    assert engine.pulled == ["registry.corp:5000/node:1"]


def test_what_is_to_be_built_is_not_there_if_it_was_pulled(
    built: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = docker(image("minio", None), image("jobset", recipes.image_key("jobset")))
    store(runner, "build").ensure(["minio", "jobset"])
    assert built == ["minio"]
    assert store(runner, "build", offline=True).present(["minio"]) == {"minio": True}


def test_mirrors_are_asked_and_pulled_from(built: list[str], engine: Registries) -> None:
    engine.failing = {"": "manifest unknown"}
    mirrors = Mirrors.from_settings({"quay.io": "registry.corp:5000/quay"})
    with pytest.raises(DevstackError) as caught:
        ImageStore(docker(returncode=1), Recorder(), "pull", mirrors=mirrors).ensure(["minio"])
    assert engine.asked == [f"registry.corp:5000/quay/{pinned('minio').partition('/')[2]}"]
    assert "registry.corp:5000 does not have it" in caught.value.cause


@pytest.mark.parametrize(
    ("present", "source"),
    [
        (Present("", 5), "pulled"),
        (Present("", 5, digests=(pinned("minio"),)), "pulled"),
        (Present("", 5, digests=(pinned("minio").replace("quay.io", "corp:5000"),)), "pulled"),
        (Present("", 5, digests=("quay.io/minio/minio@sha256:other",)), "outdated"),
        # Loaded from a bundle, as the containerd store reports it.
        (Present("", 5, digests=("devstack/minio@sha256:other",)), "pulled"),
        (Present(recipes.image_key("minio"), 5), "built"),
    ],
)
def test_a_pulled_image_is_outdated_if_another_digest_is_wanted(
    present: Present, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {IMAGES["minio"].reference: present}
    monkeypatch.setattr(DockerClient, "inspect_images", lambda *_: found)
    (row,) = store(FakeRunner()).rows(["minio"])
    assert row.source == source
    published = [each for each in present.digests if not each.startswith("devstack/")]
    assert row.digest == (published[0].partition("@")[2] if published else "")


def test_an_image_built_upon_a_pulled_one_shows_the_digest_of_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    upstream = IMAGES["task"].upstream
    assert upstream
    present = Present(addition_key("task", upstream), 5, upstream=upstream.pinned)
    found = {IMAGES["task"].reference: present}
    monkeypatch.setattr(DockerClient, "inspect_images", lambda *_: found)
    (row,) = store(FakeRunner()).rows(["task"])
    assert (row.source, row.digest) == ("pulled", upstream.digest)


@pytest.mark.parametrize(
    ("code", "build"), [("DOCKER_FAILED", True), ("PACKAGE_INDEX_UNREACHABLE", False)]
)
def test_an_image_that_was_pulled_and_not_built_upon_is_reported_as_that(
    code: str,
    build: bool,
    built: list[str],
    engine: Registries,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise DevstackError("`docker start` failed with status 1", code=code)

    monkeypatch.setattr(Additions, "build", fail)
    monkeypatch.setattr(Additions, "install_packages", lambda *_: None)
    progress = Recorder()
    images = ImageStore(docker(returncode=1), progress)
    if build:
        images.ensure(["task"])
        (warning,) = warnings(progress)
        assert warning.startswith("pulled task, but cannot add files: `docker start` failed")
    else:
        with pytest.raises(DevstackError) as caught:
            images.ensure(["task"])
        assert caught.value.code == code
    assert built == (["task"] if build else [])


@pytest.mark.parametrize("message", ["unauthorized", "x509: certificate signed by unknown"])
def test_a_mirror_that_was_configured_and_denies_access_ends_the_command(
    message: str, built: list[str], engine: Registries
) -> None:
    engine.failing = {"": message}
    mirrors = Mirrors.from_settings({"quay.io": "registry.corp:5000"})
    with pytest.raises(DevstackError, match=r"registry\.corp:5000"):
        ImageStore(docker(returncode=1), Recorder(), mirrors=mirrors).ensure(["minio"])
    assert built == []
    ImageStore(docker(returncode=1), Recorder()).ensure(["minio"])
    assert built == ["minio"]


def test_offline_fetches_nothing_and_names_the_missing_images(built: list[str]) -> None:
    runner = docker(image("minio", None), returncode=1)
    with pytest.raises(DevstackError) as caught:
        store(runner, offline=True).ensure(["minio", "task", "jobset"])
    assert caught.value.code == "IMAGES_MISSING"
    assert IMAGES["task"].reference in caught.value.cause
    assert IMAGES["minio"].reference not in caught.value.cause
    assert "images load" in caught.value.remedy
    assert built == []
    assert {argv[:3] for argv in runner.argvs} == {INSPECT}


def test_docker_that_does_not_answer_is_no_missing_image() -> None:
    runner = FakeRunner()
    runner.answer(*INSPECT, returncode=1, stderr="Cannot connect to the Docker daemon")
    with pytest.raises(DevstackError) as caught:
        store(runner).ensure(["minio"])
    assert caught.value.code == "DOCKER_STOPPED"


def test_an_unknown_image_is_rejected_with_the_known_ones() -> None:
    with pytest.raises(DevstackError) as caught:
        store(docker()).reference("nginx")
    assert caught.value.code == "IMAGE_UNKNOWN"
    assert "minio" in caught.value.remedy
