"""The settings of this machine with which task pods reach a package index."""

from __future__ import annotations

import netrc
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from devstack.services.packages import authorities, pip_settings, proxies, uv_settings

NETRC = "netrc"
_URL = re.compile(r"\b(?:https?|socks\w*)://[^\s\"',]+")
_LOOPBACK = re.compile(r"localhost|127(\.\d+){3}|::1")


@dataclass(frozen=True)
class MachineSettings:
    """What task pods get of this machine; may contain passwords.

    Attributes:
        variables: environment variables.
        files: contents of configuration files, by file name.
        problems: what else of the settings does not reach pods, and what to do about it.
    """

    variables: Mapping[str, str]
    files: Mapping[str, str]
    problems: Sequence[str] = ()

    @property
    def warning(self) -> str:
        """What of the settings does not work in pods, and what to do; empty if all does."""
        warnings = []
        if self.loopback:
            warnings.append(
                f"task pods cannot reach {' and '.join(self.loopback)}, which this machine's "
                "index or proxy settings name: loopback is the pod itself. Let it listen on an "
                "address of this machine, and name that one"
            )
        return "; ".join([*warnings, *self.problems])

    @property
    def loopback(self) -> list[str]:
        """The hosts of indexes and proxies that only this machine can reach, with their ports."""
        named = (_host_and_port(url) for url in _urls(self._texts()))
        local = ((host, port) for host, port in named if _LOOPBACK.fullmatch(host))
        return sorted({f"{host}:{port}" if port else host for host, port in local})

    @property
    def hosts(self) -> set[str]:
        """The hosts of all indexes and proxies."""
        return {_host_and_port(url)[0] for url in _urls(self._texts())} - {""}

    def _texts(self) -> list[str]:
        return [*self.variables.values(), *self.files.values()]


def read_machine_settings(variables: Mapping[str, str], root: Path = Path("/")) -> MachineSettings:
    """Return the settings of this machine.

    Args:
        variables: the environment in which `devstack up` runs.
        root: the root of the file system.
    """
    found = {
        **pip_settings.read_variables(variables),
        **uv_settings.read_variables(variables),
        **proxies.read_variables(variables),
    }
    pip, uv = pip_settings.read_files(variables, root), uv_settings.read_files(variables, root)
    certificates = authorities.read_authorities(variables, root)
    fits = len(certificates) <= authorities.LARGEST
    files = {
        pip_settings.FILE: pip_settings.render(pip) if pip else "",
        uv_settings.FILE: uv_settings.render(uv) if uv else "",
        authorities.FILE: certificates if fits else "",
    }
    hosts = {_host_and_port(url)[0] for url in _urls([*found.values(), *files.values()])}
    files[NETRC] = _read_netrc(variables, hosts)
    present = {name: text for name, text in files.items() if text}
    return MachineSettings(found, present, _problems(variables, root, fits=fits))


def _problems(variables: Mapping[str, str], root: Path, *, fits: bool) -> list[str]:
    """Return what of the machine's settings does not reach pods.

    Args:
        variables: the environment in which `devstack up` runs.
        root: the root of the file system.
        fits: whether a Secret can hold the certificates.
    """
    problems = [authorities.find_problem(variables)]
    local = [*pip_settings.find_local(variables, root), *uv_settings.find_local(variables, root)]
    if local:
        problems.append(
            f"task pods do not get the folders of this machine that {' and '.join(local)} name: "
            "pods cannot reach them. Serve them over HTTP, or put their files into the image"
        )
    if not fits:
        problems.append(
            f"task pods do not get this machine's {authorities.FILE}, which is larger than "
            f"{authorities.LARGEST} bytes: name a smaller bundle by DEVSTACK_CA_BUNDLE"
        )
    return [each for each in problems if each]


def _host_and_port(url: str) -> tuple[str, int | None]:
    """Return what a URL names; nothing if it is invalid, which its own tool reports."""
    try:
        parts = urlsplit(url)
        return parts.hostname or "", parts.port
    except ValueError:
        return "", None


def _urls(texts: Iterable[str]) -> list[str]:
    return [url for text in texts if "-----BEGIN" not in text for url in _URL.findall(text)]


def _read_netrc(variables: Mapping[str, str], hosts: Iterable[str]) -> str:
    """Return the entries of the user's netrc for the hosts, and no others."""
    home = Path(variables.get("HOME") or Path.home())
    path = Path(variables.get("NETRC") or home / ".netrc")
    try:
        known = netrc.netrc(str(path)).hosts if path.is_file() else {}
    except (OSError, netrc.NetrcParseError, UnicodeDecodeError):
        return ""
    entries = ((host, known[host]) for host in sorted(set(hosts)) if host in known)
    return "".join(
        f"machine {host} login {login} password {password}\n"
        for host, (login, _account, password) in entries
    )
