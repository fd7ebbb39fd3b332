"""The ways a trial can end before its time: a leaf, imported by all that can go wrong."""

from __future__ import annotations


class TrialEnd(Exception):  # noqa: N818 -- an end with a reason, not always an error
    """A trial cannot go on. `kind` is one of the words of docs/results.md; `ended` is `failed` or `invalid`."""

    def __init__(self, kind: str, reason: str, ended: str = "failed") -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason
        self.ended = ended


class Unavailable(Exception):  # noqa: N818 -- an instrument's state, not a failure of the trial
    """An instrument cannot run here; the message is the kernel's or the program's own reason."""


class BlockError(Exception):
    """The block cannot be run at all; the message is fit to show."""


def from_os_error(doing: str, error: OSError) -> TrialEnd:
    """Return the end that an operating system's refusal leads to, disk full included."""
    return TrialEnd("infra", f"{doing}: {error.strerror or error}" + (f": {error.filename}" if error.filename else ""))
