"""Files that are derived from the declarations of services."""

from __future__ import annotations

import runpy
from typing import Any

import pytest

from devstack.paths import project_file
from devstack.services import SERVICES

SCRIPT: dict[str, Any] = runpy.run_path(str(project_file("scripts", "generate-services")))
HINT = "run scripts/generate-services"


def test_the_tiltfiles_data_is_up_to_date() -> None:
    assert project_file("k8s", "services.json").read_text() == SCRIPT["render_tilt"](), HINT


def test_the_readmes_table_of_services_is_up_to_date() -> None:
    text = project_file("README.md").read_text()
    assert text == SCRIPT["render_readme"](text), HINT
    for service in SERVICES:
        assert f"| `{service.name}` | {service.about}" in text


def test_a_readme_without_the_table_is_an_error() -> None:
    with pytest.raises(ValueError, match="0 tables of services"):
        SCRIPT["render_readme"]("# devstack\n")
