"""How containerd of the nodes reaches registries: mirrors, certificates, plain HTTP.

Source: containerd's docs/hosts.md. containerd reads a registry's file at each pull, so that a
change needs no restart. With ``server`` alone, and no ``[host]``, it asks nothing but the mirror.
The path of a mirror follows ``/v2``; ``override_path`` keeps containerd from adding another.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

from devstack.docker.client import DockerClient
from devstack.docker.trust import is_insecure, trusted_authorities
from devstack.images.mirrors import Mirrors, mirror_host
from devstack.mirror_settings import EVERY_OTHER
from devstack.providers.base import RegistrySettings

FOLDER = "/etc/containerd"
_HOSTS = "certs.d"
_DEFAULT = "_default"
"""The folder of registries that have none of their own."""
_AUTHORITIES = "devstack-authorities.crt"
_MARK = "# Written by devstack."

_CONFIGURE = r"""
set -eu
cd /etc/containerd
mkdir -p certs.d
for file in certs.d/*/hosts.toml; do
  folder=$(basename "$(dirname "$file")")
  case " $* " in *" $folder "*) continue ;; esac
  [ -e "$file" ] || continue
  if head -n 1 "$file" | grep -q '^# Written by devstack'; then rm -r "certs.d/$folder"; fi
done
if grep -q "config_path *= *['\"]/etc/containerd/certs.d" config.toml; then exit 0; fi
plugin='io.containerd.cri.v1.images'
if grep -q '^version *= *2' config.toml; then plugin='io.containerd.grpc.v1.cri'; fi
{
  cat config.toml
  printf '\n[plugins."%s".registry]\n  config_path = "/etc/containerd/certs.d"\n' "$plugin"
} >config.toml.new
containerd --config config.toml.new config dump >/dev/null
mv config.toml.new config.toml
systemctl restart containerd
"""
"""Removes outdated files of devstack's, and lets containerd read the others.

Node images of kind 0.27 and later, and devstack's own, have the setting; to change it, containerd
has to be restarted, which running containers survive.
"""


def build_files(
    settings: RegistrySettings,
    trusted: Mapping[str, str],
    insecure: Collection[str] = (),
) -> dict[str, str]:
    """Return the files of a node, texts by path below FOLDER; empty if none are needed.

    Args:
        settings: what the stack says about registries.
        trusted: the certificate authorities, PEM texts by ``HOST[:PORT]``.
        insecure: mirrors whose certificates are not verified; without TLS they are asked by HTTP.
    """
    mirrors = Mirrors.from_settings(settings.mirrors)
    files = {}
    if settings.authorities:
        files[_AUTHORITIES] = settings.authorities
        files[f"{_HOSTS}/{_DEFAULT}/hosts.toml"] = _text("", "", settings.authorities)
    for registry in sorted({*mirrors.by_registry, *mirrors.hosts, *trusted}):
        folder = f"{_HOSTS}/{_DEFAULT if registry == EVERY_OTHER else registry}"
        mirror = mirrors.find(registry)
        host = mirror_host(mirror or registry)
        authorities = trusted.get(host, "")
        if authorities:
            files[f"{folder}/ca.crt"] = authorities
        server = _server(mirror or registry, host in insecure) if mirror or host in insecure else ""
        files[f"{folder}/hosts.toml"] = _text(server, authorities, settings.authorities)
    for host, url in settings.local.items():
        files[f"{_HOSTS}/{host}/hosts.toml"] = _text(f'server = "{url}"\n', "", "")
    return files


def find_files(engine: DockerClient, settings: RegistrySettings) -> dict[str, str]:
    """Return the files of a node, with what Docker trusts; see :func:`build_files`."""
    hosts = Mirrors.from_settings(settings.mirrors).hosts
    info = engine.info() if hosts else {}
    insecure = [host for host in hosts if is_insecure(host, info)]
    return build_files(settings, trusted_authorities(), insecure)


def files_version(files: Mapping[str, str]) -> str:
    """Return a digest of a node's files; empty if there are none."""
    text = json.dumps(files, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16] if files else ""


def configure_node(engine: DockerClient, node: Any, files: Mapping[str, str]) -> None:
    """Give a node its files, and remove those of earlier settings.

    Raises:
        DevstackError: ``NODE_UNWRITABLE``.
    """
    if files:
        engine.put_files(node, FOLDER, files)
    folders = sorted({path.split("/")[1] for path in files if path.startswith(f"{_HOSTS}/")})
    argv = ["bash", "-c", _CONFIGURE, "configure", *folders]
    engine.require(node, argv, f"cannot configure mirrors of registries on {node.name}")


def _server(place: str, insecure: bool) -> str:
    """Return the lines about the server that is asked, ``HOST[:PORT][/PATH]``."""
    host, _, path = place.partition("/")
    if insecure:
        # containerd tries HTTPS first if there is a setting of TLS.
        server = f"http://{host}"
        more = "skip_verify = true\n"
    else:
        server, more = f"https://{host}", ""
    path_lines = "override_path = true\n" if path else ""
    url = f"{server}/v2/{path}" if path else server
    return f'server = "{url}"\ncapabilities = ["pull", "resolve"]\n{path_lines}{more}'


def _text(server: str, own: str, shared: str) -> str:
    files = (["ca.crt"] if own else []) + ([f"{FOLDER}/{_AUTHORITIES}"] if shared else [])
    names = ", ".join(f'"{name}"' for name in files)
    authorities = f"ca = [{names}]\n" if files else ""
    return f"{_MARK}\n{server}{authorities}"
