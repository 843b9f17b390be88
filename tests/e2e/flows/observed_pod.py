"""What a pod has, as its task sees it."""

import json
import os
import sys
import tempfile
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")


def observe(step, *folders):
    """Print what this pod has, as one line of JSON."""
    found = {
        "cpu_limit": cpu_limit(),
        "cpu_share": cpu_share(),
        "memory_limit": memory_limit(),
        "environment": dict(os.environ),
        "executable": sys.executable,
        "folders": {folder: mounted(folder) for folder in ("/dev/shm", *folders)},
        "ids": [os.getuid(), os.getgid()],
        "pod": os.environ["METAFLOW_KUBERNETES_POD_NAME"],
        "status": status(),
        "writable": [folder for folder in ("/home/task", *folders) if writable(folder)],
    }
    print("OBSERVED", json.dumps({"step": step, **found}))


def cpu_limit():
    """Return the CPUs that the container may use, or None."""
    if (CGROUPS / "cpu.max").exists():
        quota, period = (CGROUPS / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    quota = int((CGROUPS / "cpu" / "cpu.cfs_quota_us").read_text())
    period = int((CGROUPS / "cpu" / "cpu.cfs_period_us").read_text())
    return None if quota < 0 else quota / period


def cpu_share():
    """Return the file and the number by which the container gets its part of the CPUs."""
    for file in ("cpu.weight", "cpu/cpu.shares"):
        if (CGROUPS / file).exists():
            return [file, int((CGROUPS / file).read_text())]
    return None


def memory_limit():
    """Return the bytes that the container may use, or None."""
    for file in ("memory.max", "memory/memory.limit_in_bytes"):
        if (CGROUPS / file).exists():
            text = (CGROUPS / file).read_text().strip()
            # Without a limit, cgroup v1 has the largest multiple of a page.
            return None if text == "max" or int(text) > 1 << 60 else int(text)
    return None


def mounted(folder):
    """Return the type and the bytes of what is mounted there, or None."""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split()
        if place == folder:
            sizes = os.statvfs(folder)
            return [kind, sizes.f_blocks * sizes.f_frsize]
    return None


def writable(folder):
    """Return True if this process can create files there."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def status():
    """Return what the kernel knows about the privileges of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    pairs = (line.split(":", 1) for line in lines)
    return {key: value.strip() for key, value in pairs if key.startswith(("Cap", "NoNewPrivs"))}
