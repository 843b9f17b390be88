"""How uv on this machine reaches its index, as variables and as a configuration file.

uv's documentation, "Configuration files": the user's file has precedence over the system's,
lists are joined; UV_CONFIG_FILE replaces both. A project's own settings come with its
pyproject.toml, which is part of the code package.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import date, time
from pathlib import Path
from typing import Any

from devstack.services.packages.addresses import is_remote, keep_remote
from devstack.toml import tomllib

FILE = "uv.toml"

_VARIABLES = (
    "UV_DEFAULT_INDEX",
    "UV_INDEX",
    "UV_INDEX_URL",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
    "UV_INDEX_STRATEGY",
    "UV_INSECURE_HOST",
    "UV_HTTP_TIMEOUT",
    "UV_HTTP_RETRIES",
    "UV_NATIVE_TLS",
    "UV_SYSTEM_CERTS",
    "UV_PYTHON_INSTALL_MIRROR",
    "UV_PYPY_INSTALL_MIRROR",
    "UV_PYTHON_DOWNLOADS_JSON_URL",
)
_FIND_LINKS = ("UV_FIND_LINKS", "find-links ")
_SEPARATORS = {
    "UV_DEFAULT_INDEX": "",
    "UV_INDEX": "",
    "UV_INDEX_URL": "",
    "UV_EXTRA_INDEX_URL": "",
    "UV_FIND_LINKS": ",",
    "UV_PYTHON_INSTALL_MIRROR": "",
    "UV_PYPY_INSTALL_MIRROR": "",
    "UV_PYTHON_DOWNLOADS_JSON_URL": "",
}
"""What is between addresses; the variables whose values may be folders of this machine."""
_CREDENTIALS = re.compile(r"UV_INDEX_\w+_(USERNAME|PASSWORD)")
_KEYS = (
    "index",
    "index-url",
    "extra-index-url",
    "find-links",
    "index-strategy",
    "allow-insecure-host",
    "native-tls",
    "system-certs",
    "python-install-mirror",
    "pypy-install-mirror",
    "python-downloads-json-url",
)
"""What describes the way to packages; everything else is about this machine or one project."""
_ADDRESSES = (
    "index",
    "index-url",
    "extra-index-url",
    "find-links",
    "python-install-mirror",
    "pypy-install-mirror",
    "python-downloads-json-url",
)
"""The keys whose values may be folders of this machine."""
_BARE = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
"""A key that TOML does not require to be quoted."""


def read_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of uv that task pods get."""
    found = {
        name: _keep(name, value)
        for name, value in variables.items()
        if name in _VARIABLES or _CREDENTIALS.fullmatch(name)
    }
    return {name: value for name, value in found.items() if value}


def read_files(variables: Mapping[str, str], root: Path = Path("/")) -> dict[str, Any]:
    """Return the settings of uv's configuration files.

    Args:
        variables: this process's environment, which says where the files are.
        root: the root of the file system.
    """
    merged = _merge_files(variables, root)
    settings = {key: _portable(key, merged[key]) for key in sorted(merged)}
    return {key: value for key, value in settings.items() if value not in ("", [])}


def find_local(variables: Mapping[str, str], root: Path = Path("/")) -> list[str]:
    """Return the names of the settings whose indexes or mirrors are folders of this machine.

    Find-links are not among them: they only add to the index, which pods have too.

    Args:
        variables: this process's environment.
        root: the root of the file system.
    """
    named = {name: variables[name] for name in _SEPARATORS if name in variables}
    merged = _merge_files(variables, root)
    found = [name for name, value in named.items() if _keep(name, value) != value]
    found += [
        f"{key} in {FILE}" for key in sorted(merged) if _portable(key, merged[key]) != merged[key]
    ]
    return [name for name in found if not name.startswith(_FIND_LINKS)]


def render(settings: Mapping[str, Any]) -> str:
    """Return a uv.toml with the settings."""
    simple = {key: value for key, value in settings.items() if key != "index"}
    lines = [f"{key} = {_value(value)}" for key, value in simple.items()]
    for index in settings.get("index", ()):
        fields = (f"{_key(key)} = {_value(value)}" for key, value in index.items())
        lines += ["", "[[index]]", *fields]
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    """Return a value in TOML's notation, which for strings, numbers and booleans is JSON's."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {_value(value[key])}" for key in value) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, (date, time)):
        return value.isoformat()
    return json.dumps(value, ensure_ascii=False)


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else json.dumps(key, ensure_ascii=False)


def _merge_files(variables: Mapping[str, str], root: Path) -> dict[str, Any]:
    """Return what the configuration files say about the way to packages, by key."""
    settings: dict[str, Any] = {}
    for path in _files(variables, root):
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
            continue  # uv itself reports it
        for key in table.keys() & set(_KEYS):
            value, more = table[key], settings.get(key)
            if isinstance(value, list) and isinstance(more, list):
                value, more = [*more, *value], None
            settings[key] = more or value
    return settings


def _files(variables: Mapping[str, str], root: Path) -> Iterator[Path]:
    """Yield the configuration files that exist, the one with precedence first."""
    if variables.get("UV_NO_CONFIG", "") not in ("", "0", "false"):
        return
    if named := variables.get("UV_CONFIG_FILE"):
        candidates = [Path(named)]
    else:
        home = Path(variables.get("HOME") or Path.home())
        system = (variables.get("XDG_CONFIG_DIRS") or str(root / "etc/xdg")).split(":")
        candidates = [Path(variables.get("XDG_CONFIG_HOME") or home / ".config") / "uv/uv.toml"]
        shared = [*(Path(each) / "uv/uv.toml" for each in system if each), root / "etc/uv/uv.toml"]
        candidates += [path for path in shared if path.is_file()][:1]
    yield from (path for path in candidates if path.is_file())


def _keep(name: str, value: str) -> str:
    return keep_remote(value, _SEPARATORS[name]) if name in _SEPARATORS else value


def _portable(key: str, value: Any) -> Any:
    """Return what of a value is valid on another machine: folders of this one are not."""
    if key not in _ADDRESSES:
        return value
    if key == "index":
        tables = value if isinstance(value, list) else []
        return [
            table
            for table in tables
            if isinstance(table, Mapping) and is_remote(str(table.get("url", "")))
        ]
    if isinstance(value, list):
        return [each for each in value if is_remote(str(each))]
    return value if is_remote(str(value)) else ""
