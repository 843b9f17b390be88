"""Compare the list of published images with the registries; see scripts/check-upstream-images."""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from devstack.images.mirrors import Mirrors
from devstack.images.upstream import FILE
from devstack.toml import tomllib

PLATFORMS = ("linux/amd64", "linux/arm64")
TIMEOUT = 60
SIZE_TOLERANCE = 0.2
"""How far a listed size may be from the real one, as a part of it."""
UNREADABLE = (LookupError, ValueError, TypeError, subprocess.TimeoutExpired)
"""What a registry that does not answer, or with something else, leads to."""


@dataclass
class Found:
    """What a registry has.

    Attributes:
        digest: of the tag.
        platforms: the digests of its manifests.
        size: bytes that are downloaded on amd64.
        faults: differences from the list; empty if there are none.
    """

    digest: str = ""
    platforms: dict[str, str] = field(default_factory=dict)
    size: int = 0
    faults: list[str] = field(default_factory=list)


class Registries:
    """Reads manifests by skopeo.

    Args:
        mirrors: where to read them.
        options: options of skopeo.
    """

    def __init__(self, mirrors: Mirrors, options: Sequence[str]) -> None:
        self._mirrors = mirrors
        self._options = options

    def manifest(self, reference: str) -> bytes:
        """Return a manifest or an index as it is."""
        return self._inspect(reference)

    def _inspect(self, reference: str, *options: str) -> bytes:
        place = self._mirrors.resolve(reference)
        argv = ["skopeo", "inspect", "--raw", *options, *self._options, f"docker://{place}"]
        done = subprocess.run(argv, capture_output=True, timeout=TIMEOUT, check=False)
        if done.returncode:
            lines = done.stderr.decode(errors="replace").strip().splitlines()
            raise LookupError(lines[-1].rpartition('msg="')[2].rstrip('"') if lines else "skopeo")
        return done.stdout

    def find(self, table: Mapping[str, Any]) -> Found:
        """Compare a table with its registry."""
        reference = table["reference"]
        repository = reference.rpartition(":")[0]
        found = Found()
        try:
            raw = self.manifest(reference)
            found.digest = _digest(raw)
            found.platforms, found.size = self._platforms(repository, raw)
        except UNREADABLE as error:
            found.faults.append(f"the tag cannot be read: {error}")
            return found
        found.faults += self._compare(repository, table, found)
        return found

    def _compare(self, repository: str, table: Mapping[str, Any], found: Found) -> list[str]:
        faults = []
        wanted, platforms, size = table.get("digest", ""), found.platforms, found.size
        if not wanted:
            faults.append(f"no digest is listed; the tag has {found.digest}")
        elif wanted != found.digest:
            faults.append(f"the tag moved to {found.digest}")
            try:
                raw = self.manifest(f"{repository}@{wanted}")
                platforms, size = self._platforms(repository, raw)
            except UNREADABLE as error:
                return [*faults, f"the listed digest cannot be read: {error}"]
        listed = table.get("platforms", ())
        for platform in listed:
            if platform not in platforms:
                faults.append(f"{platform} is missing")
            elif isinstance(listed, Mapping) and listed[platform] not in (
                "",
                platforms[platform],
            ):
                faults.append(f"{platform} has {platforms[platform]}")
        expected = table.get("size", 0)
        if expected and abs(size - expected) > size * SIZE_TOLERANCE:
            faults.append(f"{size} bytes are downloaded, not {expected}")
        return faults

    def _platforms(self, repository: str, raw: bytes) -> tuple[dict[str, str], int]:
        """Return the digests of devstack's platforms, and the size on the first one."""
        content = json.loads(raw)
        if "manifests" not in content:
            config = json.loads(self._inspect(f"{repository}@{_digest(raw)}", "--config"))
            return {f"{config['os']}/{config['architecture']}": _digest(raw)}, _size(content)
        digests = {
            f"{each['platform']['os']}/{each['platform']['architecture']}": each["digest"]
            for each in content["manifests"]
            if each.get("platform")
        }
        known = {name: digests[name] for name in PLATFORMS if name in digests}
        size = 0
        if known:
            size = _size(json.loads(self.manifest(f"{repository}@{next(iter(known.values()))}")))
        return known, size


def main() -> int:
    """Print a table; return 1 if there is a difference."""
    arguments = _parse_arguments()
    tables = tomllib.loads(FILE.read_text())
    if arguments.file.exists():
        tables |= tomllib.loads(arguments.file.read_text())
    own = {name: table for name, table in tables.items() if "same_as" not in table}
    mirrors = Mirrors.from_settings(dict(each.split("=", 1) for each in arguments.mirror))
    options = ["--cert-dir", str(arguments.cert_dir)] if arguments.cert_dir else []
    registries = Registries(mirrors, options)
    with ThreadPoolExecutor(8) as pool:
        found = dict(zip(own, pool.map(registries.find, own.values()), strict=True))
    lines = [f"{'NAME':<16} {'REFERENCE':<52} STATE"]
    for name, each in found.items():
        state = "; ".join(each.faults) or "as listed"
        lines.append(f"{name:<16} {own[name]['reference']:<52} {state}")
    sys.stdout.write("\n".join(lines) + "\n")
    if arguments.update:
        _write(arguments.file, tables, found)
        return 0 if all(each.digest for each in found.values()) else 1
    return 1 if any(each.faults for each in found.values()) else 0


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/check-upstream-images")
    parser.add_argument("--update", action="store_true", help="rewrite the file")
    parser.add_argument("--file", type=Path, default=FILE, help="another file")
    parser.add_argument("--mirror", action="append", default=[], metavar="REGISTRY=HOST")
    parser.add_argument("--cert-dir", type=Path, help="the folder of a registry's CA")
    return parser.parse_args()


def _write(file: Path, tables: Mapping[str, Mapping[str, Any]], found: Mapping[str, Found]) -> None:
    """Write the list; what could not be read stays as it is."""
    header = FILE.read_text().partition("\n[")[0]
    today = datetime.datetime.now(tz=datetime.timezone.utc).date().isoformat()
    parts = [header]
    for name, table in tables.items():
        new = dict(table)
        if name in found and found[name].digest:
            each = found[name]
            new |= {"digest": each.digest, "platforms": each.platforms, "size": each.size}
            new["verified"] = f"by skopeo, {today}"
        parts.append(_text(name, new))
    file.write_text("\n".join(parts))


def _text(name: str, table: Mapping[str, Any]) -> str:
    key = json.dumps(name) if "." in name else name
    lines = [f"[{key}]"]
    lines += [
        f"{each} = {json.dumps(value)}" for each, value in table.items() if each != "platforms"
    ]
    platforms = table.get("platforms")
    if isinstance(platforms, Mapping):
        lines += ["", f"[{key}.platforms]"]
        lines += [f"{json.dumps(each)} = {json.dumps(value)}" for each, value in platforms.items()]
    elif platforms:
        lines.append(f"platforms = {json.dumps(platforms)}")
    return "\n".join(lines) + "\n"


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _size(manifest: Mapping[str, Any]) -> int:
    return sum(int(each["size"]) for each in [manifest["config"], *manifest["layers"]])


if __name__ == "__main__":
    sys.exit(main())
