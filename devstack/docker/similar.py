"""A container like another one, with another name and other files mounted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_COPIED = ("Cmd", "Entrypoint", "OpenStdin", "StopSignal", "Tty", "Volumes")


def build_similar(
    attrs: Mapping[str, Any],
    name: str,
    *,
    labels: Mapping[str, str],
    binds: Sequence[str],
    left_out: str,
    without_variables: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the request for a container like one that exists; it has no host ports.

    Args:
        attrs: what Docker says of the existing one (`docker inspect`).
        name: the new one's name, which is its host name as well.
        labels: added to those of the existing one.
        binds: added to its mounts, as ``source:target:options``.
        left_out: the folder whose files are not mounted as they are in the existing one.
        without_variables: environment variables that the new one does not have.

    Returns:
        The body of Docker's request ``POST /containers/create``.
    """
    config, host = attrs["Config"], attrs["HostConfig"]
    kept = [each for each in host.get("Binds") or [] if not each.startswith(f"{left_out}/")]
    variables = [
        each for each in config.get("Env") or [] if each.partition("=")[0] not in without_variables
    ]
    networks = attrs["NetworkSettings"]["Networks"]
    return {
        **{key: config[key] for key in _COPIED if config.get(key) is not None},
        "Hostname": name,
        # Its name may be another image's by now.
        "Image": attrs["Image"],
        "Env": variables,
        "Labels": {**(config.get("Labels") or {}), **labels},
        "HostConfig": {**host, "PortBindings": {}, "Binds": [*kept, *binds]},
        "NetworkingConfig": {"EndpointsConfig": {network: {} for network in networks}},
    }
