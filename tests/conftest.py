"""What all tests share: their order, the time each group takes, no hidden skips."""

from __future__ import annotations

import signal

pytest_plugins = [
    "pytester",
    "tests.support.essential",
    "tests.support.failures",
    "tests.support.golden_option",
    "tests.support.groups",
    "tests.support.home",
    "tests.support.kubernetes_option",
    "tests.support.machine_lock",
    "tests.support.skips",
]

# A shell starts what it puts in the background with these ignored, and the
# programs under test would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
