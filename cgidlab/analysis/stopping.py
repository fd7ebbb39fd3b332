"""Whether the blocks so far decide a run. Whole blocks, planned looks."""

from collections.abc import Sequence

from cgidlab.analysis.effects import effects
from cgidlab.analysis.findings import Decision, Effect, unanswered
from cgidlab.analysis.looks import planned_looks
from cgidlab.model import Repetitions, TrialRecord, VerdictRule


def decide(records: Sequence[TrialRecord], rule: VerdictRule, repetitions: Repetitions) -> Decision:
    """Say after a whole block whether the run stops: at a planned look, once every comparison is decided.

    By itself, or by the common effect over the other factors where no interaction is shown.

    Between looks the data are not judged, only used to predict. Never stops
    before `repetitions.min`, always at `repetitions.max`. A response that no complete trial
    has cannot hold up a run. Pure: the same records give the same decision.
    """
    done = len({r.block for r in records})
    looks = planned_looks(repetitions.min, repetitions.max)
    following = next((look for look in looks if look > done), None)
    if done >= repetitions.max:
        return Decision(
            stop=True,
            reason=f"all {done} blocks are done",
            blocks_done=done,
            next_look=None,
            blocks_needed=None,
            undecided=(),
        )
    if repetitions.fixed:
        return Decision(
            stop=False,
            reason=f"block {done} of {repetitions.max}",
            blocks_done=done,
            next_look=repetitions.max,
            blocks_needed=None,
            undecided=(),
        )
    found = _observed(effects(records, rule, repetitions, registered_only=True))
    undecided = unanswered(found)
    comparisons = sum(not e.pooled for e in found)
    if done not in looks:
        needed = _needed(undecided, done)
        reason = f"{done} blocks are done; the next look is after block {following}"
        return Decision(
            stop=False, reason=reason, blocks_done=done, next_look=following, blocks_needed=needed, undecided=()
        )
    if found and not undecided:
        reason = f"every one of {comparisons} comparisons is decided after {done} blocks"
        return Decision(stop=True, reason=reason, blocks_done=done, next_look=None, blocks_needed=done, undecided=())
    needed = _needed(undecided, done)
    outlook = (
        f"probably {needed} blocks would decide them"
        if needed is not None and needed <= repetitions.max
        else f"the {repetitions.max} blocks allowed will probably not decide all of them"
    )
    reason = f"{len(undecided)} of {comparisons} comparisons are open after {done} blocks; {outlook}"
    return Decision(
        stop=False, reason=reason, blocks_done=done, next_look=following, blocks_needed=needed, undecided=undecided
    )


def _observed(found: Sequence[Effect]) -> tuple[Effect, ...]:
    seen = {e.response for e in found if e.blocks}
    return tuple(e for e in found if e.response in seen)


def _needed(undecided: Sequence[Effect], done: int) -> int | None:
    """Return the blocks that the slowest comparison needs; None when one of them cannot be told."""
    if not undecided:
        return done
    wants = [None if e.more_blocks is None else e.blocks + e.more_blocks for e in undecided]
    known = [w for w in wants if w is not None]
    return max(known) if len(known) == len(wants) else None
