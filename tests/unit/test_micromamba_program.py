"""The program `micromamba` of the task image: it downloads the real one once for all pods."""

from __future__ import annotations

import bz2
import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from devstack.images.programs import CONTAINERS

PROGRAM = CONTAINERS / "task" / "rootfs" / "usr" / "local" / "bin" / "micromamba"


def archive() -> bytes:
    script = b'#!/bin/sh\necho "micromamba got: $*"\n'
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo("bin/micromamba")
        entry.size = len(script)
        tar.addfile(entry, io.BytesIO(script))
    return bz2.compress(packed.getvalue())


@pytest.fixture
def requests() -> list[str]:
    return []


@pytest.fixture
def site(requests: list[str]) -> Iterator[str]:
    """A server that has micromamba at one address, and the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            found = self.path.startswith("/official/linux-")
            self.send_response(200 if found else 404)
            self.end_headers()
            if found:
                self.wfile.write(archive())

        def log_message(self, *args: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def environment(tmp_path: Path, site: str) -> dict[str, str]:
    """A pod's environment, with a Metaflow that names the server's addresses."""
    package = tmp_path / "code" / "metaflow" / "plugins" / "pypi"
    package.mkdir(parents=True)
    for folder in (package, package.parent, package.parent.parent):
        (folder / "__init__.py").touch()
    (package / "utils.py").write_text(
        f'MICROMAMBA_URL = "{site}/official/{{platform}}/{{version}}"\n'
        f'MICROMAMBA_MIRROR_URL = "{site}/mirror/{{platform}}/{{version}}.tar.bz2"\n'
    )
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(tmp_path / "code"),
        "DEVSTACK_PACKAGE_CACHE": str(tmp_path / "cache"),
    }


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    # The image's Python is at a fixed path, this machine's may not be.
    argv = [sys.executable, "-I", str(PROGRAM), *arguments]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)


def test_pods_that_start_together_download_it_once(
    environment: dict[str, str], requests: list[str]
) -> None:
    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(lambda number: run(environment, "create", str(number)), range(4)))
    assert sorted(each.stdout for each in runs) == [
        f"micromamba got: create {number}\n" for number in range(4)
    ]
    assert len([path for path in requests if path.startswith("/official/")]) == 1


def test_a_download_that_fails_is_reported_with_all_addresses(
    environment: dict[str, str], site: str
) -> None:
    utils = Path(environment["PYTHONPATH"]) / "metaflow" / "plugins" / "pypi" / "utils.py"
    utils.write_text(utils.read_text().replace("/official/", "/gone/"))
    done = run(environment, "create")
    assert done.returncode == 1
    assert done.stderr.startswith("cannot download micromamba, which @conda and @pypi require:")
    assert f"{site}/mirror/" in done.stderr
    assert f"{site}/gone/" in done.stderr
    assert list(Path(environment["DEVSTACK_PACKAGE_CACHE"]).glob("*[!k]")) == []
