"""Reads and writes the sysctls of a trial, in whatever network namespace the caller is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Mapping

from .ending import TrialEnd
from .process import read_text, write_text

if TYPE_CHECKING:
    from .blockfile import TrialOrder

SYSCTLS: Mapping[str, str] = {
    "somaxconn": "net/core/somaxconn",
    "max_dgram_qlen": "net/unix/max_dgram_qlen",
}
"""By the setting of a trial (an option of roles/kernel), its file below /proc/sys."""


def read(setting: str) -> str:
    """Return a sysctl's value; raise OSError where this kernel or namespace has none."""
    return read_text(f"/proc/sys/{SYSCTLS[setting]}").strip()


def write(setting: str, value: str) -> None:
    """Set a sysctl; raise OSError where that is refused."""
    write_text(f"/proc/sys/{SYSCTLS[setting]}", value)


def apply(order: TrialOrder, before_change: Callable[[str, str, str], None]) -> None:
    """Write the sysctls that differ from what the trial names; `before_change` is told setting, old and new value."""
    for setting, path in SYSCTLS.items():
        want = order.text(setting)
        try:
            found = read(setting)
            if found != want:
                before_change(setting, found, want)
                write(setting, want)
        except OSError as error:
            reason = f"sysctl {path.replace('/', '.')} cannot be set to {want} here: {error.strerror}"
            raise TrialEnd("treatment", reason, "invalid") from error
