"""Whether the blocks so far decide a run. Whole blocks, planned looks."""

from collections.abc import Sequence
from dataclasses import replace

from cgidlab.analysis.effects import effects
from cgidlab.analysis.findings import Decision, Effect, Precision, unanswered
from cgidlab.analysis.looks import planned_looks
from cgidlab.analysis.thresholds import Shown, thresholds_shown
from cgidlab.gathered import answering
from cgidlab.model import Repetitions, TrialRecord, VerdictRule


def decide(records: Sequence[TrialRecord], rule: VerdictRule, repetitions: Repetitions) -> Decision:
    """Say after a whole block whether the run stops: at a planned look, once every comparison is decided.

    By itself, or by the common effect over the other factors where no interaction is shown. Where the file names half
    widths it stops at a look once every comparison of those responses is known as well.

    Between looks the data are not judged, only used to predict. Never stops
    before `repetitions.min`, always at `repetitions.max`. A response that no complete trial
    has cannot hold up a run. What the rule requires holds it up as comparisons do. `records` are as for `analyse`.
    Pure: the same records give the same decision.
    """
    found = _observed(effects(answering(records), rule, repetitions, registered_only=True))
    looks = planned_looks(repetitions)
    required = thresholds_shown(rule.required, records, looks)
    undecided = sum(f.state is Shown.UNDECIDED for f in required)
    done = len({r.block for r in records})
    decision = _decision(found, done, repetitions, undecided, asks=bool(found or required))
    return replace(decision, precision=_precision(found))


def _decision(found: Sequence[Effect], done: int, repetitions: Repetitions, undecided: int, *, asks: bool) -> Decision:
    looks = planned_looks(repetitions)
    following = next((look for look in looks if look > done), None)
    if done >= repetitions.max:
        return _stop(f"all {done} blocks are done", done, None)
    if repetitions.fixed:
        return _go_on(f"block {done} of {repetitions.max}", done, repetitions.max, None)
    wanted = dict(repetitions.half_widths)
    open_ = _wide(found, wanted) if wanted else unanswered(found)
    asked = sum(not e.pooled and (not wanted or e.response in wanted) for e in found)
    needed = _needed(open_, done, wanted)
    if done not in looks:
        return _go_on(f"{done} blocks are done; the next look is after block {following}", done, following, needed)
    if asks and not open_ and not undecided:
        how = "known well enough" if wanted and asked else "decided"
        which = {0: "every requirement", 1: "the only comparison"}.get(asked, f"every one of {asked} comparisons")
        return _stop(f"{which} is {how} after {done} blocks", done, done)
    how = "not known well enough" if wanted else "open"
    verb = "is" if len(open_) == 1 else "are"
    reason = (
        f"{len(open_)} of {asked} comparisons {verb} {how} after {done} blocks" if asked else f"{done} blocks are done"
    )
    if undecided:
        reason += f"; {undecided} requirement{'' if undecided == 1 else 's'} undecided"
    if open_ and needed is not None and needed <= repetitions.max:
        reason += f"; probably {needed} blocks would {'do' if wanted else 'decide them'}"
    return replace(_go_on(reason, done, following, needed), undecided=tuple(open_))


def _stop(reason: str, done: int, needed: int | None) -> Decision:
    return Decision(stop=True, reason=reason, blocks_done=done, next_look=None, blocks_needed=needed, undecided=())


def _go_on(reason: str, done: int, following: int | None, needed: int | None) -> Decision:
    return Decision(
        stop=False, reason=reason, blocks_done=done, next_look=following, blocks_needed=needed, undecided=()
    )


def _observed(found: Sequence[Effect]) -> tuple[Effect, ...]:
    seen = {e.response for e in found if e.blocks}
    return tuple(e for e in found if e.response in seen)


def _wide(found: Sequence[Effect], wanted: dict[str, float]) -> tuple[Effect, ...]:
    asked = (e for e in found if not e.pooled and e.response in wanted)
    return tuple(e for e in asked if e.half_width is None or e.half_width > wanted[e.response])


def _precision(found: Sequence[Effect]) -> tuple[Precision, ...]:
    open_ = unanswered(found)
    said = []
    for response in dict.fromkeys(e.response for e in found):
        cells = [e for e in found if e.response == response and not e.pooled]
        widths = [e.half_width for e in cells]
        known = [w for w in widths if w is not None]
        answered = len(cells) - sum(e.response == response for e in open_)
        together = answered - sum(e.answer.decided for e in cells)
        half_width = max(known) if known and len(known) == len(widths) else None
        said.append(Precision(response, len(cells), answered, together, half_width))
    return tuple(said)


def _needed(open_: Sequence[Effect], done: int, wanted: dict[str, float]) -> int | None:
    """Return the blocks that the slowest comparison needs; None when one of them cannot be told.

    An interval narrows with the root of the blocks.
    """
    if not open_:
        return done
    if wanted:
        wants = [
            None if (w := e.half_width) is None else -int(-done * (w / wanted[e.response]) ** 2 // 1) for e in open_
        ]
    else:
        wants = [
            None if e.more_blocks is None or not e.blocks else done + -(-e.more_blocks * done // e.blocks)
            for e in open_
        ]
    known = [w for w in wants if w is not None]
    return max(known) if len(known) == len(wants) else None
