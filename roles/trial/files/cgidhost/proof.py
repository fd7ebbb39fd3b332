"""What the read-back of a trial is made of: one proof for each thing that was ordered."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable, Iterator, Mapping, NamedTuple, Optional

if TYPE_CHECKING:
    from .blockfile import TrialOrder
    from .server import Server
    from .sockdiag import SockDiag

_ENTRY = re.compile(r"<dd>(.*?)(?=</?d[dlt]>|\Z)", re.DOTALL)
_LINE_NUMBER = re.compile(r"\A\s*\d*\s*:")  # not every version has one
_TAG = re.compile(r"<[^>]+>")


class Directive(NamedTuple):
    """One line of the configuration as the running httpd read it."""

    name: str
    value: str
    inside: bool  # of a section, so that it does not hold for the whole server


@dataclass(frozen=True)
class RunningServer:
    """A running server, and what it says of itself."""

    order: TrialOrder
    server: Server
    diag: SockDiag
    status: Mapping[str, str]  # of mod_status; empty where it did not answer
    directives: tuple[Directive, ...]  # of mod_info; same
    silent: str = ""  # why one of them did not answer


@dataclass(frozen=True)
class Proof:
    """How one thing that was ordered is found in the running server."""

    name: str
    want: Callable[[TrialOrder], Optional[str]]  # None: nothing to prove in this trial
    found: Callable[
        [RunningServer], Optional[str]
    ]  # None: this kernel has nothing that could say; OSError: it cannot be read


@dataclass(frozen=True)
class ProofMade:
    """One proof made: what was wanted, what the host says is in force."""

    name: str
    want: str
    found: str

    @property
    def ok(self) -> bool:
        """Say whether they agree."""
        return self.want == self.found


def made(proof: Proof, evidence: RunningServer) -> Iterator[ProofMade]:
    """Yield the check of one proof, none where there is nothing to prove."""
    want = proof.want(evidence.order)
    if want is None:
        return
    try:
        found = proof.found(evidence)
    except OSError as error:
        found = f"unreadable: {error.strerror or error}"
    if found is not None:
        yield ProofMade(proof.name, want, found)


def directives_in(server_info: str) -> tuple[Directive, ...]:
    """Return the directives on mod_info's configuration page, in their order; a section's begin is one too."""
    found, depth = [], 0
    for entry in _ENTRY.findall(server_info):
        text = _LINE_NUMBER.sub("", html.unescape(_TAG.sub("", entry)).replace("\xa0", " ")).strip()
        name, _, value = text.partition(" ")
        depth -= text.startswith("</")
        if not text.startswith("</"):
            found.append(Directive(name, value.strip(), depth > 0))
        depth += text.startswith("<") and not text.startswith("</")
    return tuple(found)


def in_force(name: str, directives: tuple[Directive, ...]) -> str:
    """Return the last value that a directive was given for the whole server."""
    values = [d.value for d in directives if d.name.lower() == name.lower() and not d.inside]
    if not values:
        return "not set"
    return values[-1].capitalize() if values[-1].lower() in ("on", "off") else values[-1]


def as_directive(value: object) -> str:
    """Return an option's value as httpd.conf has it."""
    if isinstance(value, bool):
        return "On" if value else "Off"
    return str(value)
