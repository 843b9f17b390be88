"""A Docker engine that has nothing yet, as on a machine of its own within this one.

    with EmptyDocker(tmp_path / "docker", hosts={"quay.io": "127.0.0.1"}) as engine:
        engine.run("docker", "pull", "quay.io/minio/minio:...")

Two engines cannot share a network namespace: each replaces the other's rules of iptables when it
starts. So this one has namespaces of its own for mounts, processes and the network. It uses this
machine's programs and files, but has its own ``/run``, ``/etc/hosts``, ``/etc/docker`` and
``/var/lib/docker``, its own loopback addresses, and reaches the outside through slirp4netns.
With the process that holds the namespaces, the kernel ends everything inside: containers, mounts,
networks and rules, also if a test is killed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from devstack.docker.capabilities import RUNTIME, withholds_sys_resource
from tests.support.eventually import eventually

WRAPPER = "/usr/local/lib/devstack/runc-wrapper"
"""Where scripts/prepare-docker installs it."""
CGROUPS = Path("/sys/fs/cgroup")
SYSTEM_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
RESOLVER = "10.0.2.3"
"""slirp4netns' own name server, which asks those of this machine."""

_INIT = r"""
set -euo pipefail
folder=$1
ip link set lo up
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock /etc/docker /var/lib/docker
mount --bind "$folder/hosts" /etc/hosts
mount --bind "$folder/resolv.conf" "$(readlink -f /etc/resolv.conf)"
mount --bind "$folder/docker" /etc/docker
if [ -n "$2" ]; then
  mount -t tmpfs -o "size=$2" tmpfs /var/lib/docker
else
  # Deleting an engine's files from this machine's ext4 would slow down processes that create files
  # there in the next five minutes: it searches for inodes that were not deleted recently.
  truncate --size 100G "$folder/disk.img"
  mkfs.ext4 -q -E lazy_itable_init=1,lazy_journal_init=1 "$folder/disk.img"
  mount -o loop "$folder/disk.img" /var/lib/docker
fi
if [ -e "$folder/bundle.crt" ]; then
  mount --bind "$folder/bundle.crt" /etc/ssl/certs/ca-certificates.crt
fi
echo prepared
read -r _
shift 2
dockerd "$@" >"$folder/dockerd.log" 2>&1 &
wait "$!" || true
echo ended
# Everything inside ends with this process.
exec sleep infinity
"""


class EmptyDocker:
    """An engine, and what looks like a machine around it, while the context is open.

    Args:
        folder: its files; removed at the end.
        hosts: addresses by host name, for /etc/hosts.
        authorities: PEM files that all programs inside trust in addition.
        engine: settings of dockerd, as in daemon.json.
        disk: the size of the engine's disk, as in ``512m``, in memory; by default one on the
            folder's disk, which grows as needed.

    Attributes:
        pid: the first process inside, as this machine numbers it.
        cgroup: the name of the engine's control groups.
    """

    def __init__(
        self,
        folder: Path,
        *,
        hosts: Mapping[str, str] | None = None,
        authorities: Sequence[Path] = (),
        engine: Mapping[str, object] | None = None,
        disk: str = "",
    ) -> None:
        self.folder = folder
        self._hosts = dict(hosts or {})
        self._authorities = list(authorities)
        self._engine = dict(engine or {})
        self._disk = disk
        self.cgroup = f"devstack-tests-{os.getpid()}-{folder.name}"
        self._holder: subprocess.Popen[str] | None = None
        self._network: subprocess.Popen[bytes] | None = None
        self.pid = 0

    @property
    def docker_host(self) -> str:
        """The engine's address for programs that run outside."""
        return f"unix:///proc/{self.pid}/root/run/docker.sock"

    def inside(self, *argv: str, cwd: Path | None = None) -> list[str]:
        """Return the argv of a program that runs inside."""
        # A change of namespaces resets the working folder.
        enter = ["nsenter", "--target", str(self.pid), "--mount", "--net", "--pid"]
        return [*enter, "env", "-u", "DOCKER_HOST", "-C", str(cwd or Path.cwd()), *argv]

    def run(
        self, *argv: str, check: bool = True, timeout: float = 300
    ) -> subprocess.CompletedProcess[str]:
        """Run a program inside to its end."""
        return subprocess.run(
            self.inside(*argv), capture_output=True, text=True, timeout=timeout, check=check
        )

    def __enter__(self) -> EmptyDocker:
        install()
        self._write_files()
        try:
            self._start()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._remove()

    def log(self) -> str:
        """Return what dockerd printed."""
        path = self.folder / "dockerd.log"
        return path.read_text() if path.exists() else ""

    def _write_files(self) -> None:
        (self.folder / "docker").mkdir(parents=True, exist_ok=True)
        names = {"localhost": "127.0.0.1", os.uname().nodename: "127.0.0.1", **self._hosts}
        lines = [f"{address} {name}\n" for name, address in names.items()]
        (self.folder / "hosts").write_text("".join(lines))
        (self.folder / "resolv.conf").write_text(f"nameserver {RESOLVER}\n")
        if self._authorities:
            texts = [path.read_text() for path in (SYSTEM_BUNDLE, *self._authorities)]
            (self.folder / "bundle.crt").write_text("\n".join(texts))

    def _start(self) -> None:
        (self.folder / "docker" / "daemon.json").write_text(json.dumps(self._engine))
        options = ["--cgroup-parent", f"/{self.cgroup}"]
        if withholds_sys_resource():
            options += ["--add-runtime", f"{RUNTIME}={WRAPPER}", "--default-runtime", RUNTIME]
        argv = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--net", "--pid", "--fork"]
        argv += ["--propagation", "private", "--mount-proc", "--kill-child=KILL"]
        argv += ["bash", "-c", _INIT, "empty-docker", str(self.folder), self._disk, *options]
        self._holder = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=self._environment()
        )
        assert self._holder.stdin
        assert self._holder.stdout
        line = self._holder.stdout.readline()
        assert line == "prepared\n", f"its namespaces were not prepared: {line!r}"
        children = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children").read_text()
        self.pid = int(children.split()[0])
        self._connect()
        self._holder.stdin.write("go\n")
        self._holder.stdin.flush()
        eventually("the engine to respond", self._responds, 60, interval=0.1)

    def _environment(self) -> dict[str, str]:
        # The bundle is in the place of this machine's own.
        names = ("SSL_CERT_FILE", "SSL_CERT_DIR", "DOCKER_HOST", "DOCKER_TMPDIR")
        return {name: value for name, value in os.environ.items() if name not in names}

    def _connect(self) -> None:
        argv = ["setpriv", "--pdeathsig", "KILL", "slirp4netns", "--configure", "--mtu=65520"]
        argv += ["--disable-host-loopback", "--ready-fd=1", str(self.pid), "tap0"]
        with (self.folder / "network.log").open("wb") as log:
            self._network = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=log)
        assert self._network.stdout
        assert self._network.stdout.read(1) == b"1", (self.folder / "network.log").read_text()

    def _responds(self) -> bool:
        probe = self.run("docker", "version", check=False)
        if probe.returncode and "ended\n" in self.log():
            raise AssertionError(self.log()[-3000:])
        return probe.returncode == 0

    def _remove(self) -> None:
        for process in (self._network, self._holder):
            if process:
                process.kill()
                process.wait()
                for stream in (process.stdin, process.stdout):
                    if stream:
                        stream.close()
        eventually("all processes inside to end", self._cgroups_are_removed, 30, interval=0.1)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _cgroups_are_removed(self) -> bool:
        """Remove the engine's groups, which outlive their processes; False if one is in use."""
        left = False
        for root in (CGROUPS / self.cgroup, *CGROUPS.glob(f"*/{self.cgroup}")):
            for folder, _, _ in os.walk(root, topdown=False):
                with suppress(OSError):
                    os.rmdir(folder)
            left = left or root.exists()
        return not left


def install() -> None:
    """Install slirp4netns if it is missing."""
    if shutil.which("slirp4netns"):
        return
    if os.environ.get("DEVSTACK_NO_INSTALL") == "1":
        raise RuntimeError("needs slirp4netns, and DEVSTACK_NO_INSTALL forbids to install it")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for argv in (["update"], ["-y", "--no-install-recommends", "install", "slirp4netns"]):
        subprocess.run(["apt-get", "-qq", *argv], env=quiet, stdout=subprocess.DEVNULL, check=True)
