"""How DAG files reach Airflow's pods, and where the pods find them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from devstack.services.airflow.installation import HOME

DEPLOY, GIT, IMAGE, VOLUME = "deploy", "git", "image", "volume"
"""By `devstack airflow deploy`, from a branch, in an image, or on a volume of the user's."""

OWN_CLAIM = "airflow-dags"
"""The claim of the volume of DAG files that devstack creates."""

_FOLDERS = {
    DEPLOY: f"{HOME}/dags",
    # A link to the latest commit, on the same volume.
    GIT: f"{HOME}/git/dags",
    IMAGE: "/opt/dags",
    VOLUME: "/dags",
}


def delivery(settings: Mapping[str, Any]) -> str:
    """Return how DAG files are delivered.

    Args:
        settings: the table ``[airflow]`` of devstack.toml.
    """
    return str(settings.get("dags", DEPLOY))


def dags_claim(settings: Mapping[str, Any]) -> str:
    """Return the claim of the volume with DAG files; empty if they are not on one of their own."""
    if delivery(settings) != VOLUME:
        return ""
    return str(settings.get("dags_volume") or OWN_CLAIM)


def dags_folder(settings: Mapping[str, Any]) -> str:
    """Return the folder of DAG files in Airflow's pods; see :func:`delivery`."""
    return _FOLDERS[delivery(settings)]
