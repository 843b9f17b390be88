"""The settings of a stack: defaults, then a file, then the command line.

The file is ``devstack.toml`` in the current folder, the one that ``--config``
names, or the user's own ``config.toml``. All its mistakes are reported at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict, get_args, get_type_hints

import msgspec
from msgspec import Meta

from devstack.airflow_settings import AirflowSettings, with_absolute_files
from devstack.errors import DevstackError, ExitStatus
from devstack.mirror_settings import mirror_mistakes
from devstack.paths import config_home
from devstack.pools.mistakes import pool_mistakes
from devstack.pools.settings import PoolSettings
from devstack.validation import table_mistakes

ImageSource = Literal["auto", "pull", "build"]
IMAGE_SOURCES: tuple[str, ...] = get_args(ImageSource)

NAMESPACE_LIMIT = 14
"""Characters; Metaflow's @parallel builds a host name of 50 more, and Linux allows 64."""

Name = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?\Z",
        description="is not a name of 1 to 30 lower-case letters, digits and dashes",
    ),
]
Namespace = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?\Z",
        description="is not a namespace of lower-case letters, digits and dashes",
    ),
    Meta(
        max_length=NAMESPACE_LIMIT,
        description=f"is longer than {NAMESPACE_LIMIT} characters, the most that Metaflow's "
        "@parallel supports",
    ),
]
Nodes = Annotated[int, Meta(ge=1, le=10, description="is not a number from 1 to 10")]
Timeout = Annotated[float, Meta(ge=1, le=86400, description="is not a number from 1 to 86400")]
Port = Annotated[int, Meta(ge=1, le=65535, description="is not a port from 1 to 65535")]
Kubernetes = Annotated[
    str,
    Meta(description='is not a minor version of Kubernetes in quotes, such as "1.36"'),
]


class ClusterSettings(TypedDict, total=False):
    """The table ``[cluster]``; its settings are attributes of :class:`StackSpec`."""

    kubernetes: Kubernetes
    engine: str


class ImageSettings(TypedDict, total=False):
    """The table ``[images]``: where images come from, and mirrors of registries."""

    source: ImageSource
    mirror: Any


@dataclass(frozen=True)
class StackSpec:
    """The desired stack.

    Attributes:
        name: the stack's name, unique per user.
        provider: one of :data:`devstack.providers.choose.CHOICES`.
        context: the kubeconfig context; naming one selects provider ``context``.
        namespace: the namespace of task pods.
        nodes: number of nodes, including the control plane.
        pool: pools of further nodes, of any size.
        images: where images come from, one of :data:`IMAGE_SOURCES`.
        mirror: the mirror of each registry, ``mirror`` of the table ``[images]`` in the file;
            an empty one is none.
        timeout: the longest that any single wait takes, in seconds.
        ports: host ports by name; the others are chosen.
        offline: True if nothing may be downloaded.
        without: optional services to leave out.
        included: optional services to include again; ``with`` in the file.
        airflow: Airflow's settings; the files that they name as absolute paths.
        kubernetes: the minor version of Kubernetes; ``cluster.kubernetes`` in the file. Empty for
            the default; the stack's own has the version that it gets.
        engine: the engine in which kind's nodes run, a key of `devstack.providers.engines`;
            ``cluster.engine`` in the file.
        manifests: files of objects that `up` applies, such as quotas of the tasks' namespace.
        given: the names of the settings that the user specified. The others are
            defaults, which an existing stack's own settings override. ``mirror`` is among them
            if the file has it; mirrors of the command line are added to an existing stack's.
        pool_file: the file that was read for the pools, whether it has any; empty if there is
            none, or if the command line names pools.
    """

    name: Name = "devstack"
    provider: str = "auto"
    context: str = ""
    namespace: Namespace = "metaflow"
    nodes: Nodes = 1
    pool: tuple[PoolSettings, ...] = ()
    images: ImageSource = "auto"
    mirror: dict[str, str] = field(default_factory=dict)
    timeout: Timeout = 300.0
    ports: dict[str, Port] = field(default_factory=dict)
    offline: bool = False
    without: tuple[str, ...] = ()
    included: tuple[str, ...] = ()
    airflow: AirflowSettings = field(default_factory=AirflowSettings)
    kubernetes: Kubernetes = ""
    engine: str = "auto"
    manifests: tuple[str, ...] = ()
    given: frozenset[str] = field(default=frozenset(), compare=False)
    pool_file: str = field(default="", compare=False)


def load(file: Path | None = None, **chosen: Any) -> StackSpec:
    """Return the settings.

    Args:
        file: the configuration file; None searches the usual places.
        chosen: settings of the command line; None means unset.

    Raises:
        DevstackError: ``CONFIG_INVALID``, with every mistake found.
    """
    fields = get_type_hints(StackSpec, include_extras=True)
    del fields["given"], fields["pool_file"]
    path = file or _usual_file()
    settings = _read(path) if path else {}
    _require_valid(settings, _fields_of_file(fields, settings), str(path))
    settings = _without_tables(settings)
    if path and "manifests" in settings:
        # Relative to the file, so that `--config` works from any folder.
        settings["manifests"] = [
            str(path.parent.resolve() / each) for each in settings["manifests"]
        ]
    if path and "airflow" in settings:
        settings["airflow"] = with_absolute_files(settings["airflow"], path.parent.resolve())
    given = {key: value for key, value in chosen.items() if value is not None}
    _require_valid(given, fields, "the command line")
    merged = {
        name: {**settings.get(name, {}), **given.get(name, {})} for name in ("ports", "mirror")
    }
    named = {**settings, **given}
    named.pop("with", None)
    if named.get("context") and named.get("provider", "auto") == "auto":
        named["provider"] = "context"
    values = {**named, **_services(settings, given), **merged, "given": _given(settings, named)}
    if path and "pool" not in given:
        values["pool_file"] = str(path.resolve())
    return msgspec.convert(values, StackSpec)


def _fields_of_file(fields: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the type of each setting of a file, from those of :class:`StackSpec`."""
    inside = {"mirror", *ClusterSettings.__annotations__}
    named = {"with" if name == "included" else name: kind for name, kind in fields.items()}
    others = {name: kind for name, kind in named.items() if name not in inside}
    if isinstance(settings.get("images"), Mapping):
        others["images"] = ImageSettings
    return {**others, "cluster": ClusterSettings}


def _without_tables(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a file with those of [images] and [cluster] beside the others."""
    tables = {name: settings[name] for name in ("images", "cluster") if name in settings}
    rest = {name: value for name, value in settings.items() if name not in tables}
    for name, table in tables.items():
        rest.update(table if isinstance(table, Mapping) else {name: table})
    source = rest.pop("source", None)
    return {**rest, "images": source} if source is not None else rest


def _given(settings: Mapping[str, Any], named: Mapping[str, Any]) -> list[str]:
    return [name for name in named if name != "mirror" or name in settings]


def _services(settings: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``without`` and ``included``; a flag overrides the file's opposite of it."""
    without = given.get("without", settings.get("without", ()))
    included = given.get("included", settings.get("with", ()))
    if "without" not in given:
        without = [name for name in without if name not in included]
    elif "included" not in given:
        included = [name for name in included if name not in without]
    return {"without": list(without), "included": list(included)}


def _usual_file() -> Path | None:
    for candidate in (Path("devstack.toml"), config_home() / "config.toml"):
        if candidate.is_file():
            return candidate
    return None


def _read(path: Path) -> dict[str, Any]:
    from devstack.toml import tomllib

    try:
        return dict(tomllib.loads(path.read_text()))
    except FileNotFoundError as missing:
        raise _invalid(str(path), ["there is no such file"]) from missing
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as broken:
        raise _invalid(str(path), [str(broken)]) from broken


def _require_valid(settings: Mapping[str, Any], fields: Mapping[str, Any], source: str) -> None:
    apart = {"pool", "mirror"} & set(fields)
    others = {name: value for name, value in settings.items() if name not in apart}
    mistakes = table_mistakes(others, fields) + pool_mistakes(settings.get("pool", ()))
    mistakes += _mirror_mistakes(settings)
    if mistakes:
        raise _invalid(source, mistakes)


def _mirror_mistakes(settings: Mapping[str, Any]) -> list[str]:
    images = settings.get("images")
    if isinstance(images, Mapping):
        return mirror_mistakes(images.get("mirror", {}), "images.mirror")
    return mirror_mistakes(settings.get("mirror", {}), "--mirror")


def _invalid(source: str, mistakes: list[str]) -> DevstackError:
    count = "one mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
    return DevstackError(
        f"cannot use the settings of {source}",
        cause=f"{count}: " + "; ".join(mistakes),
        remedy="correct them and run the command again",
        code="CONFIG_INVALID",
        exit_status=ExitStatus.USAGE,
    )
