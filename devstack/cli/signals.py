"""How the command handles signals, and which of its settings programs inherit."""

from __future__ import annotations

import signal
from types import FrameType


def install_signal_handlers() -> None:
    """Treat SIGTERM and SIGHUP like Ctrl-C, and let programs that devstack starts get SIGINT.

    A shell without job control starts ``devstack run ... &`` with SIGINT ignored.
    Programs inherit that, and Metaflow, which cleans up on SIGINT, would never stop.
    A handler that does nothing ignores SIGINT as well, but is not inherited.
    """
    for each in (signal.SIGTERM, signal.SIGHUP):
        # `nohup` ignores SIGHUP on purpose.
        if signal.getsignal(each) != signal.SIG_IGN:
            signal.signal(each, _interrupt)
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, _discard)


def inherited_signals() -> dict[signal.Signals, signal.Handlers]:
    """Return what a program that replaces devstack must find, as if the shell had started it."""
    # Python ignores SIGPIPE, and a program would inherit that.
    inherited = {signal.SIGPIPE: signal.SIG_DFL}
    if signal.getsignal(signal.SIGINT) == _discard:
        inherited[signal.SIGINT] = signal.SIG_IGN
    return inherited


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _discard(_signal: int, _frame: FrameType | None) -> None:
    """Ignore the signal."""
