"""Stand-ins for the published images except kind's node image."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path

from devstack.images import versions
from devstack.images.archive import Layer, LayeredImage
from devstack.images.build_context import BuildContext
from devstack.images.debian import RootFileSystem, host_sources
from devstack.images.recipes import xcom

ROOTFS = Path(__file__).parent / "rootfs"
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
APPLETS = (
    *("[", "awk", "cat", "chmod", "chown", "chroot", "cp", "cut", "date", "echo", "env", "find"),
    *("grep", "head", "id", "kill", "ln", "ls", "mkdir", "mv", "printf", "ps", "rm", "sed", "sh"),
    *("sleep", "sort", "stat", "tail", "tar", "test", "touch", "tr", "true", "wc", "wget", "xargs"),
)
"""Some of busybox' programs."""
POSTGRES = RootFileSystem(
    "upstream-postgres",
    (f"postgresql-{versions.POSTGRES}", "gosu", "libnss-wrapper"),
)
PYTHON = RootFileSystem(
    "upstream-python",
    ("ca-certificates", "netbase", "python3", "python3-venv", "tzdata"),
)
POSTGRES_USER = 999


def busybox_layer(context: BuildContext, path: Path) -> Path:
    """Write a layer with busybox, as `sh` and under other names."""
    base = xcom.FILES.build(context.runner, context.progress, context.cache)
    with Layer(path) as layer:
        layer.folder("tmp", 0o1777)
        layer.file("bin/busybox", xcom._program(base), 0o755)
        for applet in APPLETS:
            layer.link(f"bin/{applet}", "busybox")
    return path


def busybox(context: BuildContext, scratch: Path) -> LayeredImage:
    """Return the image `busybox`, which starts a shell as root."""
    layer = busybox_layer(context, scratch / "busybox.tar")
    return LayeredImage("busybox", (layer,), {"Cmd": ["sh"], "Env": [PATH]})


def jobset(context: BuildContext, scratch: Path) -> LayeredImage:
    """Return JobSet's image: its controller, as a user without a name."""
    return _program(context, scratch, "jobset", "manager", "65532:65532")


def metrics_server(context: BuildContext, scratch: Path) -> LayeredImage:
    """Return metrics-server's image."""
    return _program(context, scratch, "metrics-server", "metrics-server", "65534")


def _program(context: BuildContext, scratch: Path, name: str, file: str, user: str) -> LayeredImage:
    with Layer(scratch / f"{name}.tar") as layer:
        layer.folder("tmp", 0o1777)
        layer.folder("home/nonroot", 0o700, 65532)
        layer.file(file, context.program(name), 0o755)
    config = {"Entrypoint": [f"/{file}"], "User": user, "Env": [PATH], "WorkingDir": "/"}
    return LayeredImage(name, (layer.path,), config)


def minio(context: BuildContext, scratch: Path) -> LayeredImage:
    """Return MinIO's image: an entry point that is a script, as root."""
    shell = busybox_layer(context, scratch / "minio-shell.tar")
    with Layer(scratch / "minio.tar") as layer:
        layer.file("usr/bin/minio", context.program("minio"), 0o755)
        layer.file("usr/bin/curl", context.program("curl"), 0o755)
        layer.tree(ROOTFS / "minio")
    config = {
        "Entrypoint": ["/usr/bin/docker-entrypoint.sh"],
        "Cmd": ["minio"],
        "Env": [PATH, "MINIO_ROOT_USER_FILE=access_key", "MINIO_ROOT_PASSWORD_FILE=secret_key"],
        "ExposedPorts": {"9000/tcp": {}},
        "Volumes": {"/data": {}},
    }
    return LayeredImage("minio", (shell, layer.path), config)


def registry(context: BuildContext, scratch: Path) -> LayeredImage:
    """Return the registry's image."""
    shell = busybox_layer(context, scratch / "registry-shell.tar")
    with Layer(scratch / "registry.tar") as layer:
        layer.file("bin/registry", context.program("registry"), 0o755)
        layer.tree(ROOTFS / "registry")
        settings = (
            "version: 0.1\n"
            "storage: {filesystem: {rootdirectory: /var/lib/registry}}\n"
            "http: {addr: ':5000'}\n"
        )
        layer.file("etc/distribution/config.yml", settings.encode())
    config = {
        "Entrypoint": ["/entrypoint.sh"],
        "Cmd": ["/etc/distribution/config.yml"],
        "Env": [PATH],
        "ExposedPorts": {"5000/tcp": {}},
        "Volumes": {"/var/lib/registry": {}},
    }
    return LayeredImage("registry", (shell, layer.path), config)


def postgres(context: BuildContext, scratch: Path) -> LayeredImage:
    """Return Postgres' image: it starts as root and continues as `postgres`."""
    base = POSTGRES.build(context.runner, context.progress, context.cache)
    sample = f"usr/share/postgresql/{versions.POSTGRES}/postgresql.conf.sample"
    passwd, group = (_read(base, f"etc/{name}") for name in ("passwd", "group"))
    home = "/var/lib/postgresql"
    with Layer(scratch / "postgres.tar") as layer:
        layer.file("etc/passwd", _renumbered(passwd, home).encode())
        layer.file("etc/group", _renumbered(group, home).encode())
        listening = _read(base, sample).replace(
            "#listen_addresses = 'localhost'", "listen_addresses = '*'"
        )
        layer.file(sample, listening.encode())
        layer.folder("var/lib/postgresql", 0o755, POSTGRES_USER)
        layer.folder("var/lib/postgresql/data", 0o1777, POSTGRES_USER)
        layer.folder("var/run/postgresql", 0o3777, POSTGRES_USER)
        layer.tree(ROOTFS / "postgres")
    config = {
        "Entrypoint": ["docker-entrypoint.sh"],
        "Cmd": ["postgres"],
        "Env": [
            f"{PATH}:/usr/lib/postgresql/{versions.POSTGRES}/bin",
            "LANG=C.UTF-8",
            f"PG_MAJOR={versions.POSTGRES}",
            f"PGDATA={home}/data",
        ],
        "StopSignal": "SIGINT",
        "ExposedPorts": {"5432/tcp": {}},
        "Volumes": {f"{home}/data": {}},
    }
    return LayeredImage("postgres", (base, layer.path), config)


def python(context: BuildContext, scratch: Path) -> LayeredImage:
    """Return Python's slim image: Debian, and a Python with pip below /usr/local."""
    base = PYTHON.build(context.runner, context.progress, context.cache)
    version = versions.TASK_PYTHON
    local = f"usr/local/lib/python{version}/site-packages"
    with Layer(scratch / "python.tar") as layer:
        # A virtual environment: Debian's Python takes /usr/local for its own prefix then.
        layer.file(
            "usr/local/pyvenv.cfg", b"home = /usr/bin\ninclude-system-site-packages = false\n"
        )
        for name in ("python", "python3", f"python{version}"):
            layer.link(f"usr/local/bin/{name}", f"/usr/bin/python{version}")
        for wheel in ("pip", "setuptools"):
            _unpack_bundled(base, wheel, local, layer)
        for name in ("pip", "pip3", f"pip{version}"):
            layer.file(f"usr/local/bin/{name}", _PIP.encode(), 0o755)
        for source in host_sources():
            layer.file(f"etc/apt/{_below(source, 'apt')}", source)
    config = {
        "Cmd": ["python3"],
        "Env": [PATH, "LANG=C.UTF-8", f"PYTHON_VERSION={version}"],
    }
    return LayeredImage("python", (base, layer.path), config)


_PIP = """\
#!/usr/local/bin/python3
import sys
from pip._internal.cli.main import main
sys.exit(main())
"""

Builder = Callable[[BuildContext, Path], LayeredImage]
BUILDERS: dict[str, Builder] = {
    "minio": minio,
    "jobset": jobset,
    "metrics-server": metrics_server,
    "task": python,
    "postgres": postgres,
    "xcom": busybox,
    "registry": registry,
}
"""The stand-ins, by the names that the images have in devstack's catalogue."""
PROGRAM_NAMES = ("minio", "curl", "jobset", "metrics-server", "registry")
"""The programs in them."""


def _unpack_bundled(base: Path, wheel: str, below: str, layer: Layer) -> None:
    """Add the files of a wheel that Debian's ensurepip has."""
    import io
    import zipfile

    with tarfile.open(base) as tar:
        for entry in tar:
            name = Path(entry.name).name
            if entry.isreg() and name.startswith(f"{wheel}-") and name.endswith(".whl"):
                content = tar.extractfile(entry)
                assert content
                with zipfile.ZipFile(io.BytesIO(content.read())) as archive:
                    for file in sorted(archive.namelist()):
                        if not file.endswith("/"):
                            layer.file(f"{below}/{file}", archive.read(file))
                return
    raise FileNotFoundError(f"{wheel} in {base}")


def _read(archive: Path, name: str) -> str:
    with tarfile.open(archive) as tar:
        for entry in tar:
            if entry.name.removeprefix("./") == name:
                content = tar.extractfile(entry)
                assert content
                return content.read().decode()
    raise FileNotFoundError(f"{name} in {archive}")


def _renumbered(text: str, home: str) -> str:
    """Return a passwd or group file in which `postgres` has upstream's number."""
    lines = [line for line in text.splitlines() if not line.startswith("postgres:")]
    many = text.startswith("root:x:0:0:")
    number = f"postgres:x:{POSTGRES_USER}:"
    lines.append(f"{number}{POSTGRES_USER}::{home}:/bin/bash" if many else number)
    return "\n".join(lines) + "\n"


def _below(path: Path, folder: str) -> str:
    return "/".join(path.parts[path.parts.index(folder) + 1 :])
