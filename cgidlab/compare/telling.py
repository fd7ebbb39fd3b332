"""A comparison of two runs for people: one line a comparison, with the interval that decides, and a word."""

from collections.abc import Sequence

from cgidlab import figures
from cgidlab.analysis.cut_short import NOT_CLAIMED
from cgidlab.analysis.findings import Answer, Combination
from cgidlab.analysis.intervals import Interval
from cgidlab.compare.ratios import Ratio
from cgidlab.junit import CaseResult

_WORDS = {
    Answer.COSTS_AT_LEAST: "WORSE",
    Answer.GAINS_AT_LEAST: "better",
    Answer.EQUIVALENT: "same",
    Answer.REAL_NEAR: "near what matters",
    Answer.INCONCLUSIVE: "~",
    Answer.DESCRIBED: "",
}
LEGEND = (
    "~: not decided. The interval is the one that decides: 95 % for all lines together, 90 % where the word is `same`."
)


def judged(found: Sequence[Ratio]) -> list[Ratio]:
    """Return the comparisons that the rule asks for, in their order."""
    return [r for r in found if r.threshold is not None]


def cases(found: Sequence[Ratio]) -> list[CaseResult]:
    """Return a case a judged comparison: failed where B is worse, skipped where that is not decided."""
    return [_case(ratio) for ratio in judged(found)]


def _case(ratio: Ratio) -> CaseResult:
    title = f"{figures.title(ratio.response)}: {place(ratio)}"
    said = f"{word(ratio)} {deciding_text(ratio)}".strip()
    is_open = ratio.answer is Answer.INCONCLUSIVE
    return CaseResult(title, failed=said if ratio.worse else "", skipped=said if is_open and not ratio.worse else "")


def table(found: Sequence[Ratio]) -> list[str]:
    """Return the judged comparisons, response by response."""
    lines: list[str] = []
    for response in dict.fromkeys(r.response for r in judged(found)):
        rows = [r for r in judged(found) if r.response == response]
        share = next(r.threshold for r in rows)
        lines += ["", f"{figures.title(response)} (what matters: {share:.0%})"]
        width = max(len(place(r)) for r in rows)
        lines += [f"  {place(r):<{width}}  {_row(r)}" for r in rows]
    return lines[1:]


def _row(ratio: Ratio) -> str:
    change = "not known" if ratio.estimate is None else _change(ratio)
    counts = f"{ratio.n_a}+{ratio.n_b}"
    return f"{change:>9}  {deciding_text(ratio):<22}  {counts:<7}  {word(ratio)}".rstrip()


def word(ratio: Ratio) -> str:
    """Return what is found, and why nothing is where there is no interval."""
    told = ratio.interval is None or ratio.note == NOT_CLAIMED  # what else a claim rests on is in --json
    why = f" ({ratio.note})" if ratio.note and told else ""
    return f"{_WORDS[ratio.answer]}{why}".strip()


def place(ratio: Ratio) -> str:
    """Return where a comparison is made: "listen_backlog=1 against 100, clients=50"."""
    if not ratio.against:
        return cell(ratio.at) if ratio.at else "all cells together"
    first, *others = [f"{name}={label}" for name, label in ratio.at]
    return ", ".join([f"{first} against {ratio.against}", *others])


def cell(levels: Combination) -> str:
    """Return a cell by its levels."""
    return ", ".join(f"{name}={label}" for name, label in levels)


def deciding(ratio: Ratio) -> Interval | None:
    """Return the interval that the word rests on."""
    return ratio.equivalence_interval if ratio.answer is Answer.EQUIVALENT else ratio.family_interval or ratio.interval


def deciding_text(ratio: Ratio) -> str:
    """Return that interval as changes: "-1.9 to +0.4 %"."""
    found = deciding(ratio)
    if found is None:
        return ""
    if ratio.scale != "ratio":
        return f"{found.low:+.3g} to {found.high:+.3g}"
    return f"{100 * (found.low - 1):+.1f} to {100 * (found.high - 1):+.1f} %"


def _change(ratio: Ratio) -> str:
    value = ratio.estimate or 0.0
    return f"{100 * (value - 1):+.1f} %" if ratio.scale == "ratio" else f"{value:+.3g}"


def conclusion(found: Sequence[Ratio]) -> str:
    """Return in words what the comparisons come to."""
    asked = judged(found)
    worse = [r for r in asked if r.worse]
    if worse:
        return f"B is worse than A: {_listed(worse)}."
    if not any(r.interval for r in asked):
        return (
            "No claim: six complete blocks with a level and its reference in both runs, or four earlier runs, are the "
            "least that make one."
        )
    near = [r for r in asked if r.answer is Answer.REAL_NEAR]
    if near:
        return f"B differs from A by about as much as matters: {_listed(near)}."
    open_ = sum(r.answer is Answer.INCONCLUSIVE for r in asked)
    left = f" {open_} of {len(asked)} comparisons {'is' if open_ == 1 else 'are'} not decided." if open_ else ""
    return f"Nothing is shown to be worse in B by more than what matters.{left}"


def _listed(found: Sequence[Ratio]) -> str:
    return "; ".join(f"{figures.title(r.response)} {_change(r)} ({deciding_text(r)}) at {place(r)}" for r in found)
