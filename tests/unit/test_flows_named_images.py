from __future__ import annotations

import os
from pathlib import Path

import pytest

from devstack.flows.named_images import find_image_names
from devstack.flows.source import read_source

FLOW = """
import os
from metaflow import FlowSpec, kubernetes, step
{top}

class AFlow(FlowSpec):
    @kubernetes({decorator})
    @step
    def start(self):
        print("s3://bucket/key", "plain")
"""


def names(
    folder: Path,
    decorator: str = "cpu=1",
    *,
    top: str = "",
    arguments: tuple[str, ...] = (),
    environment: dict[str, str] | None = None,
    known: tuple[str, ...] = (),
) -> set[str]:
    path = folder / "flow.py"
    path.write_text(FLOW.format(decorator=decorator, top=top))
    return find_image_names(read_source(path), arguments, environment or {}, known)


@pytest.mark.parametrize(
    ("decorator", "top"),
    [
        ('image="team/app:1"', ""),
        ("image='team/app:1'", ""),
        ("image=IMAGE", 'IMAGE = "team/app:1"'),
        ("image=os.environ.get('X', 'team/app:1')", ""),
    ],
)
def test_a_name_in_the_flow_is_found(tmp_path: Path, decorator: str, top: str) -> None:
    assert "team/app:1" in names(tmp_path, decorator, top=top)


def test_a_word_counts_only_where_an_image_is_expected(tmp_path: Path) -> None:
    found = names(tmp_path, 'image="app"')
    assert "app:latest" in found
    assert "plain:latest" not in found


def test_a_word_counts_anywhere_if_an_image_is_known_by_it(tmp_path: Path) -> None:
    found = names(tmp_path, "image=BASE", top='BASE = "app"', known=("app:latest",))
    assert found == {"app:latest"}


def test_a_name_on_the_command_line_is_found(tmp_path: Path) -> None:
    found = names(tmp_path, arguments=("--with", "kubernetes:cpu=1,image=team/app:2,memory=9"))
    assert "team/app:2" in found
    assert "app:latest" in names(tmp_path, arguments=("--with=kubernetes:image=app",))


def test_a_name_in_a_variable_of_the_flow_is_found(tmp_path: Path) -> None:
    decorator = 'image=os.environ["PLAIN_IMAGE"]'
    environment = {"PLAIN_IMAGE": "team/app:3", "OTHER": "team/other:1"}
    found = names(tmp_path, decorator, environment=environment)
    assert "team/app:3" in found
    assert "team/other:1" not in found


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("METAFLOW_DEFAULT_DECOSPECS", "kubernetes:cpu=1,image=team/app:6"),
        ("METAFLOW_FLOW_CONFIG_VALUE", '{"config": {"image": "team/app:6"}}'),
    ],
)
def test_a_name_in_a_variable_of_metaflow_is_found(
    tmp_path: Path, variable: str, value: str
) -> None:
    assert "team/app:6" in names(tmp_path, environment={variable: value})


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("settings.json", '{"train": {"image": "team/app:4"}}'),
        ("settings.toml", 'image = "team/app:4"'),
        ("settings.yaml", "train:\n  image: team/app:4\n"),
    ],
)
def test_a_name_in_the_file_of_a_config_is_found(tmp_path: Path, file: str, text: str) -> None:
    (tmp_path / file).write_text(text)
    config = f'config = Config("config", default="{file}")'
    assert "team/app:4" in names(tmp_path, "image=config.train.image", top=config)
    path = str(tmp_path / file)
    assert "team/app:4" in names(
        tmp_path, "image=config.image", arguments=("--config", "config", path)
    )


def test_a_name_in_a_module_next_to_the_flow_is_found(tmp_path: Path) -> None:
    (tmp_path / "common.py").write_text('IMAGE = "team/app:5"\n')
    assert "team/app:5" in names(tmp_path, "image=IMAGE", top="from common import IMAGE")


def test_a_file_that_the_user_may_not_see_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret.json"

    def stat(path: object, *arguments: object, **options: object) -> object:
        if str(path) == str(secret):
            raise PermissionError(13, "Permission denied", path)
        return real(path, *arguments, **options)  # type: ignore[call-overload]

    real = os.stat
    monkeypatch.setattr(os, "stat", stat)
    found = names(tmp_path, 'image="team/app:7"', top=f'KEY = "{secret}"')
    assert "team/app:7" in found


def test_a_text_in_another_language_is_no_name(tmp_path: Path) -> None:
    assert names(tmp_path, top="# image:größe image=app:größe") == set()


def test_an_argument_may_be_longer_than_a_files_name(tmp_path: Path) -> None:
    long = f"{'x' * 5000}.json"
    assert "team/app:8" in names(tmp_path, 'image="team/app:8"', arguments=("--v", long))


def test_a_flow_without_images_names_none(tmp_path: Path) -> None:
    assert names(tmp_path, environment={"plain": "team/app:1"}) == set()
