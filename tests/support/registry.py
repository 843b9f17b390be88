"""A real image registry on loopback, with TLS from a private authority.

    with Registry(tmp_path / "registry", users={"reader": "a:b c"}) as registry:
        digest = registry.add("devstack/minio:RELEASE...", "minio/minio:RELEASE...")
        subprocess.run(["docker", "pull", f"{registry.host}/minio/minio@{digest}"])

The server is Debian's docker-registry (github.com/distribution/distribution). ``authority`` is the
file that a client must trust; Docker reads it from ``/etc/docker/certs.d/HOST:PORT/ca.crt``, and
trusts any registry on 127.0.0.0/8 without it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import socket
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

import yaml

from tests.support.eventually import eventually
from tests.support.network_namespace import run_in_network
from tests.support.private_authority import PrivateAuthority
from tests.support.registry_faults import Fault, FaultyRegistry

PACKAGES = {
    "docker-registry": "docker-registry",
    "skopeo": "skopeo",
    "htpasswd": "apache2-utils",
}
"""The programs that are used, and Debian's packages of them."""
UPSTREAM_HOSTS = ("registry-1.docker.io", "auth.docker.io", "quay.io", "registry.k8s.io")
"""The hosts that serve the images of docker.io, quay.io and registry.k8s.io."""
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"


TRANSPORTS = ("docker-archive", "docker-daemon", "oci", "oci-archive", "dir")
"""Prefixes of the images that skopeo reads."""


def install() -> None:
    """Install what is missing of PACKAGES."""
    missing = sorted({package for program, package in PACKAGES.items() if not _which(program)})
    if not missing:
        return
    if os.environ.get("DEVSTACK_NO_INSTALL") == "1":
        raise RuntimeError(
            f"needs {' '.join(missing)}, and DEVSTACK_NO_INSTALL forbids to install it"
        )
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for argv in (["update"], ["-y", "--no-install-recommends", "install", *missing]):
        subprocess.run(["apt-get", "-qq", *argv], env=quiet, stdout=subprocess.DEVNULL, check=True)


class Registry:
    """A registry that runs while the context is open.

    Args:
        folder: its files, except images.
        data: the folder of its images, which several registries may share.
        users: names and passwords of those who may pull and push; by default anyone.
        address: a loopback address.
        port: by default any free one.
        names: DNS names of its certificate, besides localhost and UPSTREAM_HOSTS.
        faults: what goes wrong, in front of the registry; see :attr:`faults`.
        tls: False to serve plain HTTP.
        network: a process in whose network namespace it listens, by default this one's.
        authority: what signs its certificate, by default one of its own.

    Attributes:
        authority: the PEM file of the authority that signed its certificate.
        faults: may be changed while it runs, if it was started with a list, even an empty one.
    """

    def __init__(
        self,
        folder: Path,
        *,
        data: Path | None = None,
        users: Mapping[str, str] | None = None,
        address: str = "127.0.0.1",
        port: int = 0,
        names: Sequence[str] = (),
        faults: list[Fault] | None = None,
        tls: bool = True,
        network: int | None = None,
        authority: PrivateAuthority | None = None,
    ) -> None:
        self._network = network
        self._folder = folder
        self._data = data or folder / "data"
        self._users = dict(users or {})
        self._address = address
        self._port = port or self._free_port()
        self._tls = tls
        # Behind the faults, the registry itself has a port of its own.
        self._own_port = self._port if faults is None else self._free_port()
        self.faults = faults
        self._front: FaultyRegistry | None = None
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        authority = authority or PrivateAuthority(folder / "tls")
        self._files = authority.issue(["localhost", "127.0.0.1", address, *UPSTREAM_HOSTS, *names])
        self.authority = authority.certificate

    @property
    def host(self) -> str:
        """Its address and port, as in references."""
        return f"{self._address}:{self._port}"

    @property
    def port(self) -> int:
        """Its port."""
        return self._port

    def __enter__(self) -> Registry:
        install()
        settings = self._folder / "config.yml"
        settings.write_text(yaml.safe_dump(self._settings()))
        # It ends with this process, also if that is killed.
        argv = ["setpriv", "--pdeathsig", "KILL", "docker-registry", "serve", str(settings)]
        with (self._folder / "registry.log").open("ab") as log:
            self._process = subprocess.Popen([*self._enter(), *argv], stdout=log, stderr=log)
        try:
            eventually("the registry to respond", self._responds, 20, interval=0.05)
        except BaseException:
            self._stop()
            raise
        if self.faults is not None:
            backend = (self._address, self._own_port)
            self._front = FaultyRegistry(
                (self._address, self._port),
                backend,
                self._files,
                self.authority,
                self.faults,
                self._network,
            )
            self._front.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop responding."""
        if self._front:
            self._front.stop()
            self._front = None
        self._stop()

    def add(self, image: str, target: str, *, index: bool = False) -> str:
        """Push an image; return the digest by which it can be pulled.

        Args:
            image: an image of Docker, or what skopeo calls it (``docker-archive:FILE``).
            target: repository and tag, without a registry, as in ``kindest/node:v1.37.0``.
            index: put an index of one platform around it, as upstream's images have.
        """
        source = image if image.partition(":")[0] in TRANSPORTS else f"docker-daemon:{image}"
        own = f"docker://{self._address}:{self._own_port}/{target}"
        argv = ["skopeo", "--insecure-policy", "copy", "--quiet", "--format", "v2s2"]
        argv += ["--dest-cert-dir", str(self._trust_folder()), "--dest-authfile", self._login()]
        if not self._tls:
            argv.append("--dest-tls-verify=false")
        argv = [*self._enter(), *argv, source, own]
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
        repository, _, tag = target.rpartition(":")
        manifest = self.request(f"{repository}/manifests/{tag}", accept=MANIFEST)
        if not index:
            return _digest(manifest)
        content = json.dumps(self._index(repository, manifest)).encode()
        self.request(f"{repository}/manifests/{tag}", content, INDEX)
        return _digest(content)

    def remove(self, target: str, digest: str) -> None:
        """Delete a manifest, and with it all tags that name it."""
        repository = target.rpartition(":")[0] or target
        self.request(f"{repository}/manifests/{digest}", method="DELETE")

    def request(
        self, path: str, content: bytes | None = None, accept: str = "", method: str = ""
    ) -> bytes:
        """Send a request to the registry itself, behind the faults; return what it answers.

        Args:
            path: below ``/v2/``.
            content: what to put there.
            accept: the media type that is wanted, or that ``content`` has.
            method: by default GET, or PUT with ``content``.
        """
        scheme = "https" if self._tls else "http"
        request = urllib.request.Request(
            f"{scheme}://{self._address}:{self._own_port}/v2/{path}",
            content,
            {"Accept": accept, "Content-Type": accept} if accept else {},
            method=method or ("GET" if content is None else "PUT"),
        )
        for user, password in list(self._users.items())[:1]:
            request.add_header("Authorization", f"Basic {_basic(user, password)}")
        context = ssl.create_default_context(cafile=self.authority) if self._tls else None

        def send() -> bytes:
            with urllib.request.urlopen(request, timeout=30, context=context) as response:
                return bytes(response.read())

        return run_in_network(self._network, send)

    def _enter(self) -> list[str]:
        return ["nsenter", "--net", "--target", str(self._network), "--"] if self._network else []

    def _free_port(self) -> int:
        def ask() -> int:
            with socket.socket() as probe:
                probe.bind((self._address, 0))
                return int(probe.getsockname()[1])

        return run_in_network(self._network, ask)

    def _index(self, repository: str, manifest: bytes) -> dict[str, object]:
        config = json.loads(
            self.request(f"{repository}/blobs/{json.loads(manifest)['config']['digest']}")
        )
        return {
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": [
                {
                    "mediaType": MANIFEST,
                    "size": len(manifest),
                    "digest": _digest(manifest),
                    "platform": {"architecture": config["architecture"], "os": config["os"]},
                }
            ],
        }

    def _settings(self) -> dict[str, object]:
        http: dict[str, object] = {
            "addr": f"{self._address}:{self._own_port}",
            # Clients stay on the host and port that they know, faults included.
            "relativeurls": True,
            # By default random, and then uploads fail where several registries share the images.
            "secret": "tests",
        }
        if self._tls:
            http["tls"] = {"certificate": str(self._files.certificate), "key": str(self._files.key)}
        settings: dict[str, object] = {
            "version": 0.1,
            "log": {"level": "warn", "accesslog": {"disabled": False}},
            "storage": {
                "filesystem": {"rootdirectory": str(self._data)},
                "delete": {"enabled": True},
            },
            "http": http,
        }
        if self._users:
            path = self._folder / "htpasswd"
            path.write_text("".join(_hashed(*each) for each in self._users.items()))
            settings["auth"] = {"htpasswd": {"realm": "devstack tests", "path": str(path)}}
        return settings

    def _responds(self) -> bool:
        assert self._process
        assert self._process.poll() is None, (self._folder / "registry.log").read_text()[-2000:]
        try:
            self.request("")
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True

    def _trust_folder(self) -> Path:
        folder = self._folder / "trust"
        folder.mkdir(exist_ok=True)
        shutil.copy(self.authority, folder / "ca.crt")
        return folder

    def _login(self) -> str:
        path = self._folder / "login.json"
        logins = {
            f"{self._address}:{self._own_port}": {"auth": _basic(user, password)}
            for user, password in list(self._users.items())[:1]
        }
        path.write_text(json.dumps({"auths": logins}))
        path.chmod(0o600)
        return str(path)

    def _stop(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()


def _which(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _basic(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def _hashed(user: str, password: str) -> str:
    # The registry reads bcrypt only.
    argv = ["htpasswd", "-niBC", "4", user]
    return subprocess.run(argv, input=password, capture_output=True, text=True, check=True).stdout
