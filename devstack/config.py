"""The settings of a stack: defaults, then a file, then the command line.

The file is ``devstack.toml`` in the current folder, or the one ``--config``
names, or the user's own ``config.toml``.  All its mistakes are reported at
once.
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from devstack.errors import DevstackError, ExitStatus
from devstack.paths import config_home

PROVIDERS = ("auto", "kind", "context", "minikube")
IMAGE_SOURCES = ("auto", "pull", "build")
NAMESPACE_LIMIT = 14
"""Characters; Metaflow's @parallel builds a host name of 50 more, and Linux allows 64."""

OPTIONAL_SERVICES = ("airflow", "metadata", "postgres")
"""What a stack can be brought up without."""
EXECUTORS = ("LocalExecutor", "KubernetesExecutor")
"""How Airflow can run tasks: by its scheduler, or each by a pod of its own."""

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?")
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")


@dataclass(frozen=True)
class StackSpec:
    """The stack that is wanted.

    Attributes:
        name: tells stacks on one machine apart.
        provider: one of :data:`PROVIDERS`.
        context: the kubeconfig context; to name one is to choose provider ``context``.
        namespace: where task pods run, at most 14 characters.
        nodes: nodes of the cluster, the control plane's included.
        images: where images come from, one of :data:`IMAGE_SOURCES`.
        timeout: seconds any single wait may take.
        ports: host ports wanted, by name; others are chosen.
        offline: True where nothing may be fetched.
        without: optional services to leave out.
        included: optional services to bring in, though they were left out.
        airflow: how Airflow is to be: ``executor``, and ``config`` with tables
            that add to airflow.cfg.
        given: the settings that the user named; the others are defaults, and
            give way to what a stack was brought up with.
    """

    name: str = "devstack"
    provider: str = "auto"
    context: str = ""
    namespace: str = "metaflow"
    nodes: int = 1
    images: str = "auto"
    timeout: float = 300.0
    ports: Mapping[str, int] = field(default_factory=dict)
    offline: bool = False
    without: tuple[str, ...] = ()
    included: tuple[str, ...] = ()
    airflow: Mapping[str, Any] = field(default_factory=dict)
    given: frozenset[str] = field(default=frozenset(), compare=False)


def load(file: Path | None = None, **chosen: Any) -> StackSpec:
    """Return the settings.

    Args:
        file: the configuration file; looked for in the usual places if None.
        chosen: settings of the command line; those that are None do not count.

    Raises:
        DevstackError: ``CONFIG_INVALID``, with every mistake found.
    """
    path = file or _usual_file()
    settings = _read(path) if path else {}
    mistakes = _mistakes(settings, set(_CHECKS) - _ONLY_CHOSEN)
    if mistakes:
        raise _invalid(str(path), mistakes)
    given = {key: value for key, value in chosen.items() if value is not None}
    mistakes = _mistakes(given, set(_CHECKS))
    if mistakes:
        raise _invalid("the command line", mistakes)
    ports = {**settings.get("ports", {}), **given.get("ports", {})}
    named = {**settings, **given}
    for key in {"without", "included"} & set(named):
        named[key] = tuple(named[key])
    if named.get("context") and named.get("provider", "auto") == "auto":
        named["provider"] = "context"
    return replace(StackSpec(), **{**named, "ports": ports, "given": frozenset(named)})


def _usual_file() -> Path | None:
    for candidate in (Path("devstack.toml"), config_home() / "config.toml"):
        if candidate.is_file():
            return candidate
    return None


def _read(path: Path) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return dict(tomllib.loads(path.read_text()))
    except FileNotFoundError as missing:
        raise _invalid(str(path), ["there is no such file"]) from missing
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as broken:
        raise _invalid(str(path), [str(broken)]) from broken


def _invalid(where: str, mistakes: list[str]) -> DevstackError:
    count = "one mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
    return DevstackError(
        f"cannot use the settings of {where}",
        cause=f"{count}: " + "; ".join(mistakes),
        remedy="correct them and run the command again",
        code="CONFIG_INVALID",
        exit_status=ExitStatus.USAGE,
    )


def _mistakes(settings: Mapping[str, Any], known: set[str]) -> list[str]:
    found = []
    for key, value in settings.items():
        if key not in known:
            found.append(f"unknown setting {key!r}{_nearest(key, known)}")
        elif problem := _CHECKS[key](value):
            found.append(f"{key}: {problem}")
    return found


def _nearest(word: str, known: set[str]) -> str:
    near = difflib.get_close_matches(word, sorted(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else f" (known: {', '.join(sorted(known))})"


def _check_name(value: Any) -> str:
    if isinstance(value, str) and _NAME.fullmatch(value):
        return ""
    return f"{value!r} is not a name of 1 to 30 lower-case letters, digits and dashes"


def _check_namespace(value: Any) -> str:
    if not isinstance(value, str) or not _NAMESPACE.fullmatch(value):
        return f"{value!r} is not a namespace of lower-case letters, digits and dashes"
    if len(value) > NAMESPACE_LIMIT:
        return (
            f"{value!r} has {len(value)} characters, and {NAMESPACE_LIMIT} is the most "
            "that Metaflow's @parallel can take"
        )
    return ""


def _check_port_table(value: Any) -> str:
    if not isinstance(value, Mapping):
        return f"{value!r} is not a table of names and ports"
    wrong = [f"{name} = {port!r}" for name, port in value.items() if not _is_port(port)]
    return f"not a port from 1 to 65535: {', '.join(wrong)}" if wrong else ""


def _is_port(value: Any) -> bool:
    return type(value) is int and 1 <= value <= 65535


def _one_of(choices: tuple[str, ...]) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        return "" if value in choices else f"{value!r} is none of {', '.join(choices)}"

    return check


def _number(lowest: float, highest: float, kind: type) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        right_type = type(value) is int or (kind is float and type(value) is float)
        if right_type and lowest <= value <= highest:
            return ""
        return f"{value!r} is not a number from {lowest:g} to {highest:g}"

    return check


def _check_text(value: Any) -> str:
    return "" if isinstance(value, str) else f"{value!r} is not a text"


def _check_switch(value: Any) -> str:
    return "" if isinstance(value, bool) else f"{value!r} is neither true nor false"


def _check_services(value: Any) -> str:
    if not isinstance(value, (list, tuple)):
        return f"{value!r} is not a list of services"
    wrong = [str(name) for name in value if name not in OPTIONAL_SERVICES]
    can = ", ".join(OPTIONAL_SERVICES)
    return f"{', '.join(wrong)} cannot be left out; optional are {can}" if wrong else ""


def _check_airflow(value: Any) -> str:
    if not isinstance(value, Mapping):
        return f"{value!r} is not a table"
    if extra := sorted(set(value) - {"executor", "config"}):
        return f"unknown setting {extra[0]!r}{_nearest(extra[0], {'executor', 'config'})}"
    if problem := _one_of(EXECUTORS)(value.get("executor", EXECUTORS[0])):
        return f"executor: {problem}"
    return _check_airflow_config(value.get("config", {}))


def _check_airflow_config(sections: Any) -> str:
    if not isinstance(sections, Mapping):
        return "config: not a table of airflow.cfg's sections"
    for section, options in sections.items():
        if not isinstance(options, Mapping):
            return f"config.{section}: not a table of options"
        for name, value in options.items():
            if not isinstance(value, (str, int, float)):
                return f"config.{section}.{name}: neither a text, a number, true nor false"
    return ""


_CHECKS: dict[str, Callable[[Any], str]] = {
    "name": _check_name,
    "provider": _one_of(PROVIDERS),
    "context": _check_text,
    "namespace": _check_namespace,
    "nodes": _number(1, 10, int),
    "images": _one_of(IMAGE_SOURCES),
    "timeout": _number(1, 86400, float),
    "ports": _check_port_table,
    "offline": _check_switch,
    "without": _check_services,
    "included": _check_services,
    "airflow": _check_airflow,
}

_ONLY_CHOSEN = {"included"}
"""Settings of the command line alone."""
