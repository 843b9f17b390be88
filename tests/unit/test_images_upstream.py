"""The list of published images."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from devstack.errors import DevstackError
from devstack.images import versions
from devstack.images.catalogue import IMAGES
from devstack.images.kubernetes_versions import SUPPORTED, node_image
from devstack.images.upstream import FILE, VARIABLE, find_upstream, load_upstream

OWN = ("argo", "argo-events", "argoexec", "gang", "git", "nats", "node-agent", "network-policies")
DIGEST = "sha256:" + "b" * 64


def test_every_image_but_devstacks_own_programs_has_an_upstream() -> None:
    assert {name for name, image in IMAGES.items() if image.upstream is None} == set(OWN)


@pytest.mark.parametrize("name", load_upstream())
def test_a_table_pins_an_image_for_both_processors(name: str) -> None:
    upstream = load_upstream()[name]
    assert re.fullmatch(r"[a-z.0-9]+/[a-z0-9/-]+:[\w.-]+", upstream.reference)
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", upstream.digest)
    assert {"linux/amd64", "linux/arm64"} <= set(upstream.platforms)
    assert upstream.size > 0
    assert upstream.verified
    assert upstream.pinned == f"{upstream.reference.rpartition(':')[0]}@{upstream.digest}"


@pytest.mark.parametrize("version", SUPPORTED.values(), ids=SUPPORTED)
def test_the_node_images_are_those_that_kind_published(version: object) -> None:
    found = find_upstream(node_image(version.minor))  # type: ignore[attr-defined]
    assert found
    assert found.reference == f"docker.io/kindest/node:{version.pulled}"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        ("minio", versions.MINIO),
        ("jobset", versions.JOBSET),
        ("metrics-server", versions.METRICS_SERVER),
        # Tags without the last number move to the next release.
        ("task", rf"{versions.TASK_PYTHON}\.\d+-slim-{versions.DEBIAN_SUITE}"),
        ("postgres", rf"{versions.POSTGRES}\.\d+-{versions.DEBIAN_SUITE}"),
        ("rabbitmq", rf"{versions.RABBITMQ}\.\d+-management"),
        ("redis", rf"{versions.REDIS}\.\d+\.\d+-{versions.DEBIAN_SUITE}"),
        ("xcom", f"{versions.BUSYBOX}-musl"),
        ("registry", versions.REGISTRY.removeprefix("v")),
    ],
)
def test_published_and_built_images_have_one_version(name: str, tag: str) -> None:
    upstream = find_upstream(name)
    assert upstream
    assert re.fullmatch(tag, upstream.reference.rpartition(":")[2])


def test_images_with_python_are_built_upon_the_same_one() -> None:
    assert find_upstream("airflow") == find_upstream("metadata") == find_upstream("task")


def test_tables_of_another_file_replace_those_of_the_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.toml"
    other.write_text(f'[minio]\nreference = "quay.io/minio/minio:1"\ndigest = "{DIGEST}"\n')
    monkeypatch.setenv(VARIABLE, str(other))
    minio = IMAGES["minio"].upstream
    assert minio
    assert minio.pinned == f"quay.io/minio/minio@{DIGEST}"
    assert IMAGES["jobset"].upstream == load_upstream()["jobset"]


def test_without_a_digest_the_tag_is_pulled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.toml"
    other.write_text('[minio]\nreference = "quay.io/minio/minio:1"\n')
    monkeypatch.setenv(VARIABLE, str(other))
    minio = IMAGES["minio"].upstream
    assert minio
    assert minio.pinned == "quay.io/minio/minio:1"


@pytest.mark.parametrize("text", ["[minio", "[minio]\n", "minio = 1\n", None])
def test_a_damaged_list_is_an_error(
    text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.toml"
    if text is not None:
        other.write_text(text)
    monkeypatch.setenv(VARIABLE, str(other))
    with pytest.raises(DevstackError) as caught:
        find_upstream("minio")
    assert caught.value.code == "UPSTREAM_IMAGES_INVALID"
    assert caught.value.cause
    assert str(other) in caught.value.message


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("[mino]\nreference = 'quay.io/minio/minio:1'\n", "did you mean 'minio'?"),
        ("[minio]\nreference = 'registry.corp:5000/minio'\n", "REGISTRY/PATH:TAG"),
        ("[minio]\nreference = 'minio/minio:1'\n", "REGISTRY/PATH:TAG"),
        ("[minio]\nreference = 'quay.io/minio/minio:1'\nsize = '60 MB'\n", "number of bytes"),
        ("[minio]\nreference = 'quay.io/minio/minio:1'\ndigest = 'sha256:12'\n", "sha256: and 64"),
        ("[minio]\nreference = 'quay.io/minio/minio:1'\nplatforms = 3\n", "minio.platforms"),
        ("[minio]\nreference = 'quay.io/minio/minio:1'\ndigset = ''\n", "did you mean 'digest'?"),
        ("[airflow]\nsame_as = 'tusk'\n", "did you mean 'task'?"),
    ],
)
def test_a_mistake_in_a_list_is_not_ignored(
    text: str, mistake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.toml"
    other.write_text(text)
    monkeypatch.setenv(VARIABLE, str(other))
    with pytest.raises(DevstackError) as caught:
        find_upstream("minio")
    assert mistake in caught.value.cause
    assert caught.value.code == "UPSTREAM_IMAGES_INVALID"


def test_the_list_itself_has_no_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written by scripts/check-upstream-images has the same fields."""
    monkeypatch.setenv(VARIABLE, str(FILE))
    own = {name: image.upstream for name, image in IMAGES.items()}
    monkeypatch.delenv(VARIABLE)
    assert own == {name: image.upstream for name, image in IMAGES.items()}
    assert IMAGES["node"].needs_cgroup_v2
