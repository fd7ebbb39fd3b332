"""The short facts of a run that every form of the report states: counts, times, provenance in a line each."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cgidlab import gathered
from cgidlab.failures import RULES
from cgidlab.model import Status, TrialRecord
from cgidlab.report import words
from cgidlab.report.data import ReportInput

_OVERFLOW = {
    "observed": "The queue overflowed",
    "moment": "The queue was full for moments only",
    "not_observed": "The queue did not overflow",
    "inconclusive": "Whether the queue overflowed cannot be said",
}
COST = "What did it cost?"
QUESTIONS = (
    "Did the queue overflow?",
    "Did workers retry?",
    COST,
    "What limits throughput?",
    "What to do?",
)


@dataclass(frozen=True, slots=True)
class Line:
    """One of the verdict's answers: its question, the clauses that answer it, and what they rest on."""

    question: str  # empty when the verdict has other lines than the five it always has
    answers: tuple[str, ...]  # one, and of the cost one a response
    rest: str


def overflow_words(overflow: str) -> str:
    """Return the overflow answer as people say it; an unknown answer is shown as it is."""
    return _OVERFLOW.get(overflow, overflow or "No verdict")


def clauses(sentence: str) -> tuple[str, str]:
    """Return a sentence's first clause and the rest: it ends at the first semicolon outside parentheses."""
    depth = 0
    for i, character in enumerate(sentence):
        depth += (character == "(") - (character == ")")
        if character == ";" and depth <= 0:
            return sentence[:i], sentence[i + 1 :].strip()
    return sentence, ""


def headline(report: ReportInput) -> str:
    """Return the verdict in one clause: its lines follow, so a text that only joins them is not said twice."""
    if _joined(report):
        return clauses(report.verdict_lines[0])[0].removesuffix(".") + "."
    return report.verdict


def verdict_lines(report: ReportInput) -> list[Line]:
    """Return the verdict's lines, each under its question when there are as many as questions.

    What the headline says already is left out of the first.
    """
    lines = list(report.verdict_lines)
    if _joined(report) and (rest := clauses(lines[0])[1]):
        lines[0] = rest[:1].upper() + rest[1:]
    questions = QUESTIONS if len(lines) == len(QUESTIONS) else ("",) * len(lines)
    asked = max(1, len(report.smallest_effects))
    return [
        _line(question, line, asked if question == COST else 1) for question, line in zip(questions, lines, strict=True)
    ]


def _line(question: str, sentence: str, answers: int) -> Line:
    found: list[str] = []
    while sentence and len(found) < answers:
        clause, sentence = clauses(sentence)
        found.append(clause if clause.startswith("p9") else clause[:1].upper() + clause[1:])  # p99 is a name
    return Line(question, tuple(found), sentence)


def _joined(report: ReportInput) -> bool:
    return bool(report.verdict_lines) and report.verdict.startswith(report.verdict_lines[0])


def failures(trials: Iterable[TrialRecord]) -> list[tuple[str, int, str, str]]:
    """Return (kind, number of trials, what it means, what was done about it) of each kind of failure that there is."""
    counts = Counter(t.outcome.kind for t in trials if t.outcome.kind is not None)
    return [(kind.value, counts[kind], rule.meaning, rule.retried) for kind, rule in RULES.items() if counts[kind]]


def status_counts(trials: Iterable[TrialRecord]) -> dict[str, int]:
    """Return how many trials ended in each way; every status is there, with 0 if none did."""
    counts = Counter(t.outcome.status for t in trials)
    return {status.value: counts[status] for status in Status}


def facts(report: ReportInput) -> list[tuple[str, str]]:
    """Return the facts for the head of the report as (name, value)."""
    counts = status_counts(report.trials)
    total = sum(counts.values())
    wall = report.timing.get("wall_s")
    return [
        ("Trials", f"{counts['complete']:,} of {total:,} complete"),
        ("Cells", f"{len({t.levels for t in report.trials}):,}"),
        ("Blocks", f"{len({t.block for t in report.trials}):,}"),
        ("Took", words.duration(float(wall) if isinstance(wall, int | float) else None)),
        ("Overhead a trial", words.duration(gathered.overhead_s(report.trials))),
    ]


def flat(values: Mapping[str, object], prefix: str = "") -> list[tuple[str, str]]:
    """Return a nested mapping as (dotted name, text) in its own order; None reads "not known"."""
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            rows += flat(value, f"{name}.")
        elif isinstance(value, list | tuple):
            rows.append((name, ", ".join(str(v) for v in value)))
        else:
            rows.append((name, words.NOT_KNOWN if value is None else str(value)))
    return rows
