"""How pip on this machine reaches its index, as variables and as a configuration file.

pip's documentation, "Configuration": files are read from the system's, over the user's and
the virtual environment's, to the one that PIP_CONFIG_FILE names; later ones have
precedence, and variables over all of them.
"""

from __future__ import annotations

import configparser
import io
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from devstack.services.packages.addresses import keep_remote

FILE = "pip.conf"

_KEYS = (
    "index-url",
    "extra-index-url",
    "find-links",
    "trusted-host",
    "proxy",
    "timeout",
    "default-timeout",
    "retries",
)
"""What describes the way to packages; everything else is about this machine or one command."""

_INDEXES = ("index-url", "extra-index-url")
_ADDRESSES = (*_INDEXES, "find-links")
"""The keys whose values may be folders of this machine."""

_SECTIONS = ("global", "install")
"""The sections that `pip install` reads, the one with precedence last."""


def read_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of pip that task pods get."""
    return _portable({_variable(key): variables.get(_variable(key), "") for key in _KEYS})


def read_files(variables: Mapping[str, str], root: Path = Path("/")) -> dict[str, str]:
    """Return the settings of pip's configuration files, by key.

    Args:
        variables: this process's environment, which says where the files are.
        root: the root of the file system.
    """
    return _portable(_merge_files(variables, root))


def find_local(variables: Mapping[str, str], root: Path = Path("/")) -> list[str]:
    """Return the names of the settings whose indexes are folders of this machine.

    Find-links are not among them: they only add to the index, which pods have too.

    Args:
        variables: this process's environment.
        root: the root of the file system.
    """
    of_files = _merge_files(variables, root)
    settings = {_variable(key): variables.get(_variable(key), "") for key in _INDEXES}
    settings.update({f"{key} in {FILE}": of_files.get(key, "") for key in _INDEXES})
    return [name for name, value in settings.items() if keep_remote(value) != value]


def certificates(variables: Mapping[str, str], root: Path = Path("/")) -> str:
    """Return the bundle that pip's configuration files name, if one does."""
    found = [section["cert"] for section in _sections(variables, root) if "cert" in section]
    return found[-1] if found else ""


def render(settings: Mapping[str, str]) -> str:
    """Return a pip.conf with the settings."""
    parser = configparser.RawConfigParser()
    parser["global"] = dict(settings)
    text = io.StringIO()
    parser.write(text)
    return text.getvalue()


def _files(variables: Mapping[str, str], root: Path) -> Iterator[Path]:
    """Yield the configuration files that exist, the one with precedence last."""
    named = variables.get("PIP_CONFIG_FILE", "")
    if named == os.devnull:
        return
    home = Path(variables.get("HOME") or Path.home())
    system = (variables.get("XDG_CONFIG_DIRS") or str(root / "etc/xdg")).split(":")
    candidates = [Path(folder) / "pip/pip.conf" for folder in reversed(system) if folder]
    candidates += [
        root / "Library/Application Support/pip/pip.conf",
        root / "etc/pip.conf",
        home / ".pip/pip.conf",
        Path(variables.get("XDG_CONFIG_HOME") or home / ".config") / "pip/pip.conf",
        home / "Library/Application Support/pip/pip.conf",
    ]
    if environment := variables.get("VIRTUAL_ENV"):
        candidates.append(Path(environment) / "pip.conf")
    if named:
        candidates.append(Path(named))
    yield from (path for path in candidates if path.is_file())


def _merge_files(variables: Mapping[str, str], root: Path) -> dict[str, str]:
    """Return what the configuration files say about the way to packages, by key."""
    settings: dict[str, str] = {}
    for section in _sections(variables, root):
        for name, value in section.items():
            key = name.lower().replace("_", "-").removeprefix("--")
            if key in _KEYS:
                settings[key] = value
    return settings


def _sections(variables: Mapping[str, str], root: Path) -> Iterator[configparser.SectionProxy]:
    """Yield the sections for `pip install` of all files, the one with precedence last."""
    for path in _files(variables, root):
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, configparser.Error):
            continue  # pip itself reports it
        yield from (parser[name] for name in _SECTIONS if parser.has_section(name))


def _variable(key: str) -> str:
    return f"PIP_{key.upper().replace('-', '_')}"


def _portable(settings: Mapping[str, str]) -> dict[str, str]:
    """Return what of the settings is valid on another machine: folders of this one are not."""
    names = {*_ADDRESSES, *map(_variable, _ADDRESSES)}
    kept = {
        name: keep_remote(value) if name in names else value for name, value in settings.items()
    }
    return {name: value for name, value in kept.items() if value}
