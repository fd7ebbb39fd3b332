"""What the observed host is: the facts that two observations must share to be compared."""

from __future__ import annotations

import hashlib
import os
import platform
import time
from typing import Any, Optional

from ..process import read_text


def collect() -> dict[str, Any]:
    """Return the facts under the names that provisioning uses; None for what cannot be known."""
    release = _pairs("/etc/os-release", "=")
    return {
        "cpu_model": _pairs("/proc/cpuinfo", ":").get("model name"),
        "cpus": os.cpu_count(),
        "kernel": os.uname().release,
        "architecture": platform.machine(),
        "memory_mb": _memory_mb(),
        "distribution": release.get("NAME"),
        "distribution_version": release.get("VERSION_ID"),
        "machine_id_sha256": _machine(),
        "boot_id": _line("/proc/sys/kernel/random/boot_id"),
        "utc_offset_s": time.localtime().tm_gmtoff,
        "hostname": os.uname().nodename,
        "uid": os.geteuid(),
        "python": platform.python_version(),
    }


def _line(path: str) -> Optional[str]:
    try:
        return read_text(path).strip()
    except OSError:
        return None


def _pairs(path: str, sign: str) -> dict[str, str]:
    try:
        lines = read_text(path, 1 << 16).splitlines()
    except OSError:
        return {}
    return {
        k.strip(): v.strip().strip('"') for k, found, v in (line.partition(sign) for line in reversed(lines)) if found
    }


def _memory_mb() -> Optional[int]:
    total = _pairs("/proc/meminfo", ":").get("MemTotal", "").split()
    return int(total[0]) // 1024 if total else None


def _machine() -> Optional[str]:
    """Return a hash of the machine's id, which itself is nobody's business."""
    found = _line("/etc/machine-id")
    return hashlib.sha256(found.encode()).hexdigest() if found else None
