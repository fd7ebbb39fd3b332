"""What was held back in a trial's window, slot by slot: interventions.json and interventions.csv."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cgidlab import rundir
from cgidlab.errors import StoreError
from cgidlab.parsers.document import Count, DocumentKind, Positive, Reason, Words

FILES = ("interventions.json", "interventions.csv")
UNTOUCHED = "untouched"
_HEADER = b"begin_ns,end_ns,intervention,asked_ppm,dose_ppm"
_ROW = re.compile(rb"(\d{1,18}),(\d{1,18}),([a-z_]{1,40}),(\d{1,7}),(\d{1,7})")
_MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class InterventionKind:
    """One thing that a host can hold back or let go first."""

    name: Words
    effect: Literal["slows", "precedes", "control"]
    component: Words  # what it holds back; "": nothing
    reason: Reason = ""  # why it could not be done there


@dataclass(frozen=True, slots=True)
class InterventionsDocument:
    """`interventions.json`."""

    slot_ns: Positive
    cpus: Count
    interventions: tuple[InterventionKind, ...]


@dataclass(frozen=True, slots=True)
class InterventionSlot:
    """One slot: what was done in it, how much of it was asked for, and how much it was."""

    begin_ns: int  # CLOCK_MONOTONIC of the host
    end_ns: int
    name: str  # UNTOUCHED where nothing was
    asked: float  # a share
    dose: float


DOCUMENT = DocumentKind("interventions.json", InterventionsDocument)


def read_slots(path: Path) -> tuple[InterventionSlot, ...]:
    """Return the slots in their order; a last line that was cut is left out. Raise `StoreError` for what is none."""
    header, _, body = rundir.read(path, _MOST_BYTES).partition(b"\n")
    if header != _HEADER:
        raise StoreError("the header is not that of interventions", where=str(path))
    found: list[InterventionSlot] = []
    for line in body.splitlines(keepends=True):
        if not line.endswith(b"\n"):
            break
        row = _ROW.fullmatch(line[:-1])
        if row is None or (found and int(row[1]) < found[-1].begin_ns) or int(row[2]) <= int(row[1]):
            raise StoreError(f"line {len(found) + 2} is no slot: {line[:60]!r}", where=str(path))
        asked, dose = int(row[4]) / 1e6, int(row[5]) / 1e6
        found.append(InterventionSlot(int(row[1]), int(row[2]), row[3].decode(), asked, dose))
    return tuple(found)
