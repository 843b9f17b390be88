"""One installation of Airflow on the stack: the names of all that is its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from devstack.state import StackState

HOME = "/airflow"
"""AIRFLOW_HOME in its pods: one volume, with the DAG files in ``dags``."""

SCHEDULER = "component=scheduler"
"""Label selector of the schedulers' pods."""


@dataclass(frozen=True)
class Installation:
    """An installation; several on one cluster share no name.

    Attributes:
        prefix: what distinguishes it from the others; empty for the stack's first one.
    """

    prefix: str = ""

    @property
    def namespace(self) -> str:
        """The namespace of its pods, and part of the addresses of its Services."""
        return self.named("airflow")

    @property
    def database(self) -> str:
        """The Postgres database, and the role of the same name; also the broker's vhost."""
        return self.named("airflow").replace("-", "_")

    @property
    def option(self) -> str:
        """The option of `devstack airflow` that selects it, and a space; empty for the first."""
        return f"--installation {self.prefix} " if self.prefix else ""

    def settings(self, airflow: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the installation's settings.

        Args:
            airflow: the table ``[airflow]`` of devstack.toml.
        """
        return airflow.get("installations", {}).get(self.prefix, {}) if self.prefix else airflow

    def with_setting(self, airflow: Mapping[str, Any], name: str, value: Any) -> dict[str, Any]:
        """Return the table ``[airflow]`` in which one of the installation's settings is changed.

        Args:
            airflow: the table ``[airflow]`` of devstack.toml.
            name: the setting.
            value: its new value.
        """
        changed = {**self.settings(airflow), name: value}
        if not self.prefix:
            return changed
        return {**airflow, "installations": {**airflow["installations"], self.prefix: changed}}

    def named(self, name: str) -> str:
        """Return the name of something outside its namespace: a host port or a Role."""
        return f"{name}-{self.prefix}" if self.prefix else name

    def credential(self, state: StackState, name: str, length: int = 24) -> str:
        """Return the random secret ``name`` of ``length`` bytes, such as "admin_password"."""
        return state.credential(f"{self.database}_{name}", length)

    def host_port(self, state: StackState, name: str) -> int:
        """Return the port on the host of ``name``, such as "airflow"; 0 if it has none yet."""
        return state.ports.get(self.named(name), 0)


DEFAULT = Installation()
"""The stack's first installation, whose names have no prefix."""
