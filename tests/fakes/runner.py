"""Fakes of programs, time and the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from devstack.errors import DevstackError, ExitStatus
from devstack.process import Completed, ProgramMissingError, failed


@dataclass(frozen=True)
class Call:
    """One call of a program, as the :class:`FakeRunner` received it."""

    argv: tuple[str, ...]
    input: str | bytes | None
    env: Mapping[str, str | None]
    cwd: Path | None
    timeout: float | None


@dataclass(frozen=True)
class _Answer:
    prefix: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str
    error: DevstackError | None
    effect: Callable[[Call], None] | None


class FakeRunner:
    """A Runner that answers from a script and records its calls.

    The longest matching prefix answers; the one added last, of those equally
    long.  A program without an answer is missing, as on a machine without it.
    """

    def __init__(self, programs: Sequence[str] = ()) -> None:
        self.calls: list[Call] = []
        self.programs = set(programs)
        self._answers: list[_Answer] = []

    def answer(
        self,
        *prefix: str,
        returncode: int = 0,
        stdout: str = "",
        stderr: str = "",
        error: DevstackError | None = None,
        effect: Callable[[Call], None] | None = None,
    ) -> None:
        """Set the answer to calls that start with ``prefix``; ``effect`` is called first."""
        self.programs.add(prefix[0])
        self._answers.append(_Answer(prefix, returncode, stdout, stderr, error, effect))

    @property
    def argvs(self) -> list[tuple[str, ...]]:
        """The argv of every call, in order."""
        return [call.argv for call in self.calls]

    def which(self, program: str) -> str | None:
        """Return a path for every program with an answer, or that a test added."""
        return f"/usr/bin/{program}" if program in self.programs else None

    def run(
        self,
        argv: Sequence[str],
        *,
        input: str | bytes | Iterable[bytes] | None = None,
        env: Mapping[str, str | None] | None = None,
        cwd: Path | None = None,
        timeout: float | None = None,
        check: bool = True,
        on_line: Callable[[str], None] | None = None,
        pidfile: Path | None = None,
    ) -> Completed:
        """Answer as scripted."""
        data = input if input is None or isinstance(input, (str, bytes)) else b"".join(input)
        call = Call(tuple(argv), data, dict(env or {}), cwd, timeout)
        self.calls.append(call)
        found = self._find(call.argv)
        if found.effect:
            found.effect(call)
        if found.error:
            raise found.error
        for line in (found.stdout + found.stderr).splitlines():
            if on_line and line.strip():
                on_line(line)
        done = Completed(call.argv, found.returncode, found.stdout, found.stderr)
        if check and not done.ok:
            raise failed(done)
        return done

    def _find(self, argv: tuple[str, ...]) -> _Answer:
        matching = [each for each in self._answers if argv[: len(each.prefix)] == each.prefix]
        if not matching:
            raise ProgramMissingError(
                f"cannot run `{argv[0]}`",
                cause=f"the test has no answer for {argv}",
                code="TOOL_MISSING",
                exit_status=ExitStatus.ENVIRONMENT,
            )
        return max(reversed(matching), key=lambda each: len(each.prefix))


class FakeClock:
    """A Clock that advances only by sleeping."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.slept: list[float] = []

    def now(self) -> float:
        """Return the time so far."""
        return self.time

    def sleep(self, seconds: float) -> None:
        """Advance by ``seconds`` at once."""
        self.slept.append(seconds)
        self.time += seconds


@dataclass
class Recorder:
    """A Progress that records its calls, as ("start", title) and the like."""

    events: list[tuple[str, ...]] = field(default_factory=list)

    def start(self, title: str) -> None:
        """Record that a step began."""
        self.events.append(("start", title))

    def note(self, text: str) -> None:
        """Record what a step does."""
        self.events.append(("note", text))

    def done(self, title: str, state: str = "done") -> None:
        """Record how a step ended."""
        self.events.append(("done", title, state))

    def warn(self, text: str) -> None:
        """Record a warning."""
        self.events.append(("warn", text))

    def line(self, text: str) -> None:
        """Record a line of a flow."""
        self.events.append(("line", text))

    def branch(self, title: str) -> Recorder:
        """Return itself."""
        return self

    @property
    def states(self) -> dict[str, str]:
        """How each ended step ended, by title."""
        return {event[1]: event[2] for event in self.events if event[0] == "done"}
