"""How far a run came, and what follows from that: what it cannot tell, and what to type for more of it."""

import math
from dataclasses import dataclass

from cgidlab.analysis.intervals import MIN_BLOCKS
from cgidlab.verdict import japanese, words


@dataclass(frozen=True, slots=True)
class Ending:
    """How far a run came, and the command that goes on with it."""

    command: str  # without more words: it goes on where the run was
    interrupted: bool = False
    budget_s: float | None = None  # that cut it; None: none did
    done: int = 0  # trials
    planned: int = 0  # trials, as things stood
    whole_blocks: int = 0  # of which no trial is to come
    planned_blocks: int = 0  # at least, as things stood
    most_blocks: int = 0  # that the experiment allows
    running: bool = False
    searching: bool = False  # for a limit, in place of levels to be compared

    @property
    def lines(self) -> tuple[str, ...]:
        """Return what is said above the verdict of a run that is not at its end; nothing of one that is."""
        if not self.interrupted:
            return ()
        count = f"{self.done} of {words.count(self.planned, 'trial')}"
        if self.running:
            return (f"STILL RUNNING, {count} done: {self._cannot_tell()}.",)
        return (f"INTERRUPTED, {count}: {self._cannot_tell()}.", f"Go on with: {self.command}")

    @property
    def to_its_end(self) -> str:
        """Return what brings what is not measured yet of a run that is not at its end."""
        return "wait for the run's end" if self.running else f"go on with the run, `{self.command}`"

    def lines_in(self, language: str) -> tuple[str, ...]:
        """Return them in one of `sentences.LANGUAGES`."""
        return tuple(japanese.said(line) for line in self.lines) if language == "ja" else self.lines

    def _cannot_tell(self) -> str:
        if not self.done:
            return "nothing was measured, so nothing is said"
        if self.searching:
            return "the limit is known only as well as is said below"
        if not self.whole_blocks:
            return "no block is whole, so no level can be compared with another"
        verb = "is" if self.whole_blocks == 1 else "are"
        some = f"{self.whole_blocks} of {words.count(self.planned_blocks, 'block')} {verb} whole"
        if self.whole_blocks < MIN_BLOCKS:
            return f"{some}, and a claim needs {MIN_BLOCKS}, so no difference between levels can be shown or ruled out"
        return f"{some}, so what is not decided below may be decided by the others"


def more(ending: Ending, blocks: int, block_s: float | None) -> str:
    """Return the command for so many more blocks of a run that has ended: what cut it short gives way.

    A budget is for all trials of a run together. Blocks that the file allows for need no extension.
    """
    if ending.budget_s is not None and block_s:
        minutes = math.ceil((ending.budget_s + blocks * block_s) / 60)
        return f"{ending.command} --budget {minutes}m"
    return f"{ending.command} --blocks +{blocks}"
