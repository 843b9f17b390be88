"""Compiling programs in a thread, while Debian and Python packages are installed."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from types import TracebackType

from devstack.images.artifact_cache import ArtifactCache
from devstack.images.golang import Compiler, group_by_module
from devstack.images.programs import Program
from devstack.pidfile import kill_orphan

POLL_SECONDS = 0.1


class BackgroundCompiler:
    """Compiles modules one after the other in a thread of its own.

    A context manager: leaving it ends Go, so an error or Ctrl-C leaves no process behind.

    Args:
        compiler: compiles the programs.
        cache: records the process of Go.
        programs: what to compile.
    """

    def __init__(
        self, compiler: Compiler, cache: ArtifactCache, programs: Iterable[Program]
    ) -> None:
        self._compiler = compiler
        self._cache = cache
        self._programs = list(programs)
        self._executor = ThreadPoolExecutor(1, "compile")
        self._compiled: dict[Path, Future[dict[str, Path]]] = {}

    def __enter__(self) -> BackgroundCompiler:
        for module in group_by_module(self._programs):
            self._compiled[module[0].module] = self._executor.submit(self._compiler.ensure, module)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)
        for future in self._compiled.values():
            while not _ended(future):
                # Again, as a process may have been about to start.
                kill_orphan(self._cache.pidfile("compile"))

    def wait(self, program: Program) -> Path:
        """Return the program as soon as it is compiled.

        Raises:
            DevstackError: ``GO_MISSING`` or ``COMPILE_FAILED``.
        """
        return self._compiled[program.module].result()[program.name]

    def raise_error(self) -> None:
        """Raise the error of a module that failed so far, if there is one."""
        for future in self._compiled.values():
            if future.done():
                future.result()


def _ended(future: Future[dict[str, Path]]) -> bool:
    if not future.done():
        wait([future], POLL_SECONDS)
    return future.done()
