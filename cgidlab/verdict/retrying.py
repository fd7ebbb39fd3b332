"""What kernel and log say of workers that tried again, side by side."""

from dataclasses import dataclass

from cgidlab.measure import physics
from cgidlab.verdict import words

REMINDER = "on Linux an overflow writes no retry line, a worker sleeps instead"
ATTEMPTS = 15  # DEFAULT_CONNECT_ATTEMPTS: after so many mod_cgid answers 503 and logs no retry


@dataclass(frozen=True, slots=True)
class RetriesSeen:
    """What workers wrote about connecting to the daemon, summed over complete trials. None: no log was read."""

    in_window: int | None
    refused: int | None  # of those in the window, ECONNREFUSED
    enoent: int | None  # of those in the window, ENOENT
    outside_window: int | None
    connects_refused: int | None  # connect() calls that the instrument saw refused
    gave_up_503: int | None
    restarts: int | None  # of the daemon


def differ(retries: RetriesSeen) -> bool:
    """Say whether kernel and log cannot both be right; False where one of them did not speak."""
    if retries.connects_refused is None or retries.in_window is None:
        return False
    logged = retries.in_window - (retries.enoent or 0)
    return physics.refusals_differ(retries.connects_refused, logged, ATTEMPTS)


def both(retries: RetriesSeen, log: str) -> str:
    """Return what is said where kernel and log contradict each other: both figures, and no claim."""
    logged = words.count((retries.in_window or 0) - (retries.enoent or 0), "retry line")
    return (
        f"kernel and log contradict each other, so whether workers retried is not known: "
        f"the kernel refused {words.count(retries.connects_refused or 0, 'connect')}, {log} has {logged} for them"
    )


def by_kernel(refused: int, otherwise: int | None) -> str:
    """Return what the kernel's count alone says: a refused connect is what mod_cgid retries."""
    failed = (
        f"{words.count(otherwise, 'connect')} failed otherwise (such as ENOENT: no socket file)" if otherwise else ""
    )
    if not refused and not failed:
        return "no worker retried: the kernel refused no connect, and only a refused one is tried again"
    parts = [f"the kernel refused {words.count(refused, 'connect')} (ECONNREFUSED: nobody listened)"] if refused else []
    return (
        f"{' and '.join([*parts, *([failed] if failed else [])])}: "
        f"mod_cgid tries each again, {ATTEMPTS} times at most, or answers 503"
    )


def kinds(retries: RetriesSeen) -> str:
    """Return the logged retries by their cause, ": 5 refused (...) and 2 without a socket file"; '' for none."""
    found = [
        f"{number:,} {what}"
        for number, what in (
            (retries.refused, "refused (ECONNREFUSED: nobody listened)"),
            (retries.enoent, "without a socket file (ENOENT)"),
        )
        if number
    ]
    return f": {words.listing(found)}" if found else ""
