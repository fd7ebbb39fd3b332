"""Samples cut to a window: what a gauge was for how long, and by how much a counter rose. No files."""

from dataclasses import dataclass

from cgidlab.arrays import Flags, Floats, Ints, np
from cgidlab.parsers.documents import Span

ENOUGH = 0.9  # share of a window that samples must cover to speak for it


@dataclass(frozen=True, slots=True)
class Held:
    """How long each sample of a gauge stood for within a window: each holds until the next one.

    A sample from before the window holds into it. The last one holds no longer
    than samples usually do, so that an instrument that stopped is not mistaken
    for a gauge that stood still.
    """

    seconds: Floats  # one a sample, 0 for those outside
    covered: float  # share of the window that any sample stood for

    def mean(self, values: Ints) -> float:
        """Return the time-weighted mean over the covered time."""
        return float((values * self.seconds).sum() / self.seconds.sum())

    def max(self, values: Ints) -> int:
        """Return the largest value that stood for any time in the window."""
        return int(values[self.seconds > 0].max())

    def share(self, flags: Flags) -> float:
        """Return the share of the covered time in which `flags` was true."""
        return float(self.seconds[flags].sum() / self.seconds.sum())

    def longest_s(self, flags: Flags) -> float:
        """Return the longest time without a break in which `flags` was true."""
        inside = self.seconds > 0
        seconds, up = self.seconds[inside], flags[inside]
        spell = np.cumsum(~up)  # the same number for all samples between two breaks
        return float(np.bincount(spell[up], weights=seconds[up]).max(initial=0.0)) if len(up) else 0.0


def hold(times_ns: Ints, window: Span) -> Held | None:
    """Return how long each sample stood for, None if all of them together covered less than `ENOUGH`."""
    if not len(times_ns) or window.end_ns == window.begin_ns:
        return None
    step = int(np.median(np.diff(times_ns))) if len(times_ns) > 1 else 0
    ends = np.append(times_ns[1:], times_ns[-1] + max(step, 0))
    begin, end = (np.clip(edge, window.begin_ns, window.end_ns) for edge in (times_ns, ends))
    seconds = np.maximum(end - begin, 0) / 1e9
    covered = float(seconds.sum()) / window.length_s
    return Held(seconds, covered) if covered >= ENOUGH else None


def rise(times_ns: Ints, counter: Ints, window: Span) -> float | None:
    """Return by how much a counter rose in the window, read between samples on a straight line.

    Where samples begin late or end early within `ENOUGH`, the rise of the
    covered part is scaled to the window; below that, None.
    """
    if len(times_ns) < 2 or window.end_ns == window.begin_ns:  # noqa: PLR2004 -- a line needs two points
        return None
    begin, end = max(window.begin_ns, int(times_ns[0])), min(window.end_ns, int(times_ns[-1]))
    covered = (end - begin) / (window.end_ns - window.begin_ns)
    if covered < ENOUGH:
        return None
    at = np.interp([begin - times_ns[0], end - times_ns[0]], times_ns - times_ns[0], counter - counter[0])
    return float(at[1] - at[0]) / covered


def unbroken(counter: Ints, owner: Ints) -> Ints:
    """Return a counter that goes on rising where its owner was replaced and it began again at 0."""
    if not len(counter):
        return counter
    steps = np.where(owner[1:] == owner[:-1], np.maximum(np.diff(counter), 0), counter[1:])
    return np.concatenate(([0], np.cumsum(steps)))


def percentile_ms(times_us: Ints, share: float) -> float:
    """Return the nearest-rank percentile: a time that was really observed."""
    return float(np.percentile(times_us, share * 100, method="inverted_cdf")) / 1000
