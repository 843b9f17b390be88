from __future__ import annotations

import pytest

from devstack.image_names import complete, familiar, is_latest, is_reference, spellings


@pytest.mark.parametrize(
    ("typed", "shown", "with_registry"),
    [
        ("app", "app:latest", "docker.io/library/app:latest"),
        ("team/app:1", "team/app:1", "docker.io/team/app:1"),
        ("docker.io/library/app", "app:latest", "docker.io/library/app:latest"),
        ("index.docker.io/team/app:2", "team/app:2", "docker.io/team/app:2"),
        ("localhost:5000/app", "localhost:5000/app:latest", "localhost:5000/app:latest"),
        ("quay.io/team/app:v1.2-x", "quay.io/team/app:v1.2-x", "quay.io/team/app:v1.2-x"),
    ],
)
def test_names_have_one_short_and_one_complete_form(
    typed: str, shown: str, with_registry: str
) -> None:
    assert is_reference(typed)
    assert familiar(typed) == familiar(shown) == familiar(with_registry) == shown
    assert complete(typed) == complete(shown) == with_registry


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Team/App:1",
        "s3://bucket/key",
        "a b",
        "./app",
        "app@sha256:12",
        "größe",
        "app:größe",
        "host:٣/app",
        "--help.x:5/app",
        "-x:5000/app",
        "x-.y/app",
        ".x:5000/app",
    ],
)
def test_other_texts_are_no_names(text: str) -> None:
    assert not is_reference(text)
    assert familiar(text) == text


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("app", ["app:latest", "docker.io/app", "index.docker.io/library/app:latest"]),
        ("team/app:1", ["docker.io/team/app:1", "index.docker.io/team/app:1"]),
        ("localhost:5000/app:latest", ["localhost:5000/app"]),
    ],
)
def test_a_name_has_several_spellings(name: str, more: list[str]) -> None:
    found = spellings(name)
    assert found >= {name, *more}
    assert {familiar(each) for each in found} == {familiar(name)}


def test_a_missing_tag_is_latest() -> None:
    assert is_latest("app")
    assert is_latest("localhost:5000/team/app:latest")
    assert not is_latest("localhost:5000/team/app:1")
