"""How uv on this machine reaches its index, as variables and as a configuration file.

uv's documentation, "Configuration files": the user's file has precedence over the system's,
lists are joined; UV_CONFIG_FILE replaces both. A project's own settings come with its
pyproject.toml, which is part of the code package.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

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


def read_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of uv that task pods get."""
    found = {
        name: value
        for name, value in variables.items()
        if value and (name in _VARIABLES or _CREDENTIALS.fullmatch(name))
    }
    if "UV_FIND_LINKS" in found:
        remote = [each for each in found.pop("UV_FIND_LINKS").split(",") if _is_remote(each)]
        found.update({"UV_FIND_LINKS": ",".join(remote)} if remote else {})
    return found


def read_files(variables: Mapping[str, str], root: Path = Path("/")) -> dict[str, Any]:
    """Return the settings of uv's configuration files.

    Args:
        variables: this process's environment, which says where the files are.
        root: the root of the file system.
    """
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
    if "find-links" in settings:
        settings["find-links"] = [each for each in settings["find-links"] if _is_remote(each)]
    return {key: settings[key] for key in sorted(settings) if settings[key] not in ("", [])}


def render(settings: Mapping[str, Any]) -> str:
    """Return a uv.toml with the settings."""
    simple = {key: value for key, value in settings.items() if key != "index"}
    lines = [f"{key} = {_value(value)}" for key, value in simple.items()]
    for index in settings.get("index", ()):
        fields = (f"{key} = {_value(value)}" for key, value in index.items())
        lines += ["", "[[index]]", *fields]
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    """Return a value in TOML's notation, which for these types is that of JSON."""
    return json.dumps(value, ensure_ascii=False)


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


def _is_remote(address: str) -> bool:
    return address.strip().startswith(("https://", "http://"))
