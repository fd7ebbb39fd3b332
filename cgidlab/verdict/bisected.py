"""The answer to "which commit changed it?", in words and as JSON."""

from collections.abc import Mapping
from typing import Any

from cgidlab.analysis.bisecting import Bisection, BuildRatio, Commit, Step, Turn
from cgidlab.figures import title
from cgidlab.model import SCHEMA_VERSION
from cgidlab.terminal import cell, columns
from cgidlab.verdict import japanese
from cgidlab.verdict.words import count

NONE_COMPLETE = "it was built, and none of its trials is complete"
NOT_BUILT = "it cannot be built"
REASONS = (NONE_COMPLETE, NOT_BUILT)
"""Why a commit is skipped where no program says more."""

# ruff: noqa: E501 -- a template is one line

_JAPANESE: Mapping[str, str] = {
    "{commit} is the first commit with {what} {worse}: {ratio} times that of the commit before it.": "{commit} から {what} が{worse}。一つ前のコミットの {ratio} 倍。",
    "The change came with one of {number} commits, after {good} up to {bad}: {what} is {worse}, {ratio}.": "変化は {good} より後、{bad} までの {number} 個のコミットのどれかで起きた。{what} は{worse}、{ratio}。",
    "Good {good} and bad {bad} cannot be told apart: {what} of bad to good is {ratio}, and {smallest} matters.": "good {good} と bad {bad} は区別できない。{what} の bad/good は {ratio}、意味のある差は {smallest}。",
    "worse": "悪化",
    "better": "改善",
    "not known": "不明",
    "{low} to {high}": "{low}〜{high}",
    "subject": "件名",
    "author date": "作成日時",
    "shown by": "根拠の実行",
    "repository": "リポジトリ",
    "why a range": "範囲になる理由",
    "skipped": "飛ばしたもの",
    "steps": "手順",
    "{middle} is neither like good nor like bad: the change came in several steps": "{middle} は good にも bad にも似ていない。変化は何段階かで起きた",
    "{middle} is not decided": "{middle} は未判定",
    "the budget ended": "時間を使い切った",
    "the commits between cannot be built or run": "間のコミットはビルドできないか動かない",
    "The whole answer holds with 95 %, and each interval with more.": "答え全体で 95 %、個々の区間はそれ以上の信頼度。",
    "{good} and {bad} differ: {what} of bad to good {after}": "{good} と {bad} は異なる。{what} の bad/good は {after}",
    "{good} and {bad} cannot be told apart: {what} of bad to good {after}": "{good} と {bad} は区別できない。{what} の bad/good は {after}",
    "{middle} is skipped: it cannot be built or run": "{middle} は飛ばした。ビルドできないか動かない",
    "{middle} is like bad: the change came with {middle} or before": "{middle} は bad に似ている。変化は {middle} か、それより前に起きた",
    "{middle} is like good: the change came after {middle}": "{middle} は good に似ている。変化は {middle} より後に起きた",
    "{told}; {what} of it to good {before}, of bad to it {after}": "{told}。{what} は good に対して {before}、bad はこれに対して {after}",
    NONE_COMPLETE: "ビルドできたが、完了した試行がない",
    NOT_BUILT: "ビルドできない",
}
_DECIDED: Mapping[Turn, str] = {
    Turn.BEFORE: "{middle} is like bad: the change came with {middle} or before",
    Turn.AFTER: "{middle} is like good: the change came after {middle}",
    Turn.BETWEEN: "{middle} is neither like good nor like bad: the change came in several steps",
    Turn.OPEN: "{middle} is not decided",
}


def answer(found: Bisection, language: str = "en") -> str:
    """Return the answer with what it rests on, for a terminal."""
    what = _what(found.response, language)
    ends = {"good": found.line[found.narrowed.good].short, "bad": found.line[found.narrowed.bad].short, "what": what}
    change = found.narrowed.change
    ratio = _ratio(None if change is None else change[1], language)
    worse = _say("worse" if found.worse else "better", language)
    if found.worse is None:
        shown = found.narrowed.steps[0].shown
        ratio, smallest = _ratio(shown.after if shown else None, language), f"{100 * found.smallest:g} %"
        told = _say(
            "Good {good} and bad {bad} cannot be told apart: {what} of bad to good is {ratio}, and {smallest} matters.",
            language, **ends, ratio=ratio, smallest=smallest)  # fmt: skip
    elif found.narrowed.found:
        told = _say("{commit} is the first commit with {what} {worse}: {ratio} times that of the commit before it.",
                    language, commit=found.suspects[0].hash, what=what, worse=worse, ratio=ratio)  # fmt: skip
    else:
        told = _say(
            "The change came with one of {number} commits, after {good} up to {bad}: {what} is {worse}, {ratio}.",
            language, **ends, number=len(found.suspects), worse=worse, ratio=ratio)  # fmt: skip
    rows = [(_say(name, language), text) for name, text in _rows(found, language)]
    width = max(columns(name) for name, _ in rows) + 2
    steps = [
        f"  {step(s, found.line, found.response, language)}{_where(run)}"
        for s, run in zip(found.narrowed.steps, found.runs, strict=True)
    ]
    note = _say("The whole answer holds with 95 %, and each interval with more.", language)
    return "\n".join(
        [
            told,
            "",
            *(name + " " * (width - columns(name)) + text for name, text in rows),
            "",
            _say("steps", language),
            *steps,
            "",
            note,
        ]
    )


def _rows(found: Bisection, language: str) -> list[tuple[str, str]]:
    rows = [("repository", cell(found.repository))]
    if found.narrowed.found:
        (commit,) = found.suspects
        rows += [("subject", cell(commit.subject)), ("author date", cell(commit.author_date))]
    elif found.worse is not None:
        rows += [("why a range", why_range(found, language))]
    change = found.narrowed.change
    if change is not None:
        rows += [
            ("shown by", run)
            for step, run in zip(found.narrowed.steps, found.runs, strict=True)
            if step is change[0] and run
        ]
    return rows + [("skipped", f"{commit.short}: {_reason(why, language)}") for commit, why in found.skipped]


def why_range(found: Bisection, language: str = "en") -> str:
    """Return why the answer is no single commit; "" where it is one, or none is to be looked for."""
    if found.narrowed.found or found.worse is None:
        return ""
    last = found.narrowed.steps[-1]
    middle = found.line[last.ask.middle or 0].short
    if last.turn is Turn.BETWEEN:
        return _say(
            "{middle} is neither like good nor like bad: the change came in several steps", language, middle=middle
        )
    if found.budget_ended:
        return _say("the budget ended", language)
    if last.turn is Turn.OPEN:
        return _say("{middle} is not decided", language, middle=middle)
    return _say("the commits between cannot be built or run", language)


def step(one: Step, line: tuple[Commit, ...], response: str, language: str = "en") -> str:
    """Return what a step has shown and decided, in one line."""
    ask, shown, what = one.ask, one.shown, _what(response, language)
    after = _ratio(shown.after if shown else None, language)
    if ask.middle is None:
        ends = {"good": line[ask.good].short, "bad": line[ask.bad].short, "what": what, "after": after}
        if one.turn is Turn.BEFORE:
            return _say("{good} and {bad} differ: {what} of bad to good {after}", language, **ends)
        return _say("{good} and {bad} cannot be told apart: {what} of bad to good {after}", language, **ends)
    middle = line[ask.middle].short
    if shown is None:
        return _say("{middle} is skipped: it cannot be built or run", language, middle=middle)
    return _say(
        "{told}; {what} of it to good {before}, of bad to it {after}", language, what=what, after=after,
        told=_say(_DECIDED[one.turn], language, middle=middle), before=_ratio(shown.before, language))  # fmt: skip


def progress(good: Commit, bad: Commit, middle: Commit, left: int, more: int) -> str:
    """Return which commits are left and which is tried now."""
    runs = count(more, "more run")
    return f"{count(left, 'commit')} left, after {good.short} up to {bad.short}; about {runs}; now {middle.short} {middle.subject}"


def document(found: Bisection) -> dict[str, Any]:
    """Return the answer as JSON holds it."""
    narrowed = found.narrowed
    answer = "cannot_be_told_apart" if found.worse is None else "commit" if narrowed.found else "range"
    change = narrowed.change
    return {
        "schema_version": SCHEMA_VERSION,
        "answer": answer,
        "repository": found.repository,
        "response": found.response,
        "smallest_effect": found.smallest,
        "change": None if found.worse is None else "worse" if found.worse else "better",
        "first_bad": _commit(found.suspects[0]) if narrowed.found else None,
        "last_good": _commit(found.line[narrowed.good]),
        "range": [] if found.worse is None else [_commit(c) for c in found.suspects],
        "why_range": why_range(found) or None,
        "ratio": None if change is None else _compared(change[1]),
        "budget_ended": found.budget_ended,
        "skipped": [{**_commit(commit), "why": why} for commit, why in found.skipped],
        "steps": [
            {
                "good": found.line[s.ask.good].hash,
                "middle": None if s.ask.middle is None else found.line[s.ask.middle].hash,
                "bad": found.line[s.ask.bad].hash,
                "error": s.ask.error,
                "turn": s.turn.value,
                "middle_to_good": None if s.shown is None or s.shown.before is None else _compared(s.shown.before),
                "bad_to_good" if s.ask.middle is None else "bad_to_middle": _compared(s.shown.after)
                if s.shown
                else None,
                "run": run,
            }
            for s, run in zip(narrowed.steps, found.runs, strict=True)
        ],
    }


def _commit(commit: Commit) -> dict[str, str]:
    return {"hash": commit.hash, "author_date": commit.author_date, "subject": commit.subject}


def _compared(found: BuildRatio) -> dict[str, Any]:
    ends = None if found.interval is None else [found.interval.low, found.interval.high]
    return {"answer": found.answer.value, "estimate": found.ratio, "interval": ends}


def _ratio(found: BuildRatio | None, language: str = "en") -> str:
    if found is None or found.ratio is None or found.interval is None:
        return _say("not known", language)
    low, high = (f"{end:.2f}" for end in (found.interval.low, found.interval.high))
    return f"{found.ratio:.2f} ({_say('{low} to {high}', language, low=low, high=high)})"


def _what(response: str, language: str) -> str:
    return title(response) if language == "en" else japanese.said(title(response))


def _reason(why: str, language: str) -> str:
    """Return why a commit was skipped: what a program said stays as it is."""
    return _say(why, language) if why in REASONS else cell(why)


def _where(run: str | None) -> str:
    return f"  [{run}]" if run else ""


def _say(text: str, language: str, **values: object) -> str:
    return (text if language == "en" else _JAPANESE[text]).format(**values)
