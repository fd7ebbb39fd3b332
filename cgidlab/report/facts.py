"""The short facts of a run that every form of the report states: counts, times, provenance in a line each."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

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


def head(report: ReportInput) -> tuple[str, ...]:
    """Return the parts of the one line above a report: when, where, on what, how long, how many trials."""
    say, counts = report.say, status_counts(report.trials)
    total, wall = sum(counts.values()), report.timing.get("wall_s")
    hosts = list(dict.fromkeys(t.host for t in report.trials))
    there = [_facts_of(report, host) for host in hosts]
    kernels = _distinct(f.get("kernel") for f in there)
    versions = _distinct(build.get("version") for host in hosts for build in _builds(report, host).values())
    some = say("{n} trials", n=f"{total:,}")
    if counts["complete"] != total:
        some = say("{some} of {all} trials complete", some=f"{counts['complete']:,}", all=f"{total:,}")
    cores = _distinct(f.get("cpus") for f in there)
    parts = (
        _began(report),
        say("host {name}", name=hosts[0]) if len(hosts) == 1 else say("{n} hosts", n=len(hosts)),
        say("{n} cores", n=", ".join(cores)) if cores else "",
        f"Linux {', '.join(kernels)}" if kernels else "",
        f"httpd {', '.join(versions)}" if versions else "",
        words.duration(float(wall), say) if isinstance(wall, int | float) else "",
        some,
    )
    return tuple(part for part in parts if part)


def _began(report: ReportInput) -> str:
    first = min((t.started_s for t in report.trials if t.started_s is not None), default=None)
    return report.run_id if first is None else f"{datetime.fromtimestamp(first, UTC):%Y-%m-%d %H:%M} UTC"


def _distinct(values: Iterable[object]) -> list[str]:
    return list(dict.fromkeys(str(v) for v in values if v is not None))


def _part(value: object, *names: str) -> Mapping[str, object]:
    """Return what a nested mapping holds under these names; nothing where it is no mapping."""
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def _facts_of(report: ReportInput, host: str) -> Mapping[str, object]:
    return _part(report.provenance, "hosts", host, "facts")


def _builds(report: ReportInput, host: str) -> dict[str, Mapping[str, object]]:
    return {level: _part(found) for level, found in _part(report.provenance, "hosts", host, "httpd").items()}


def provenance_lines(report: ReportInput) -> list[tuple[str, str]]:
    """Return on what a run rests in a few lines for people as (name, value): less than eight, whatever its size."""
    say, hosts = report.say, list(dict.fromkeys(t.host for t in report.trials))
    of, control = _part(report.provenance), _part(report.provenance, "control")
    machines = _distinct(_joined_up(_facts_of(report, h), _MACHINE) for h in hosts)
    systems = _distinct(_joined_up(_facts_of(report, h), _SYSTEM) for h in hosts)
    builds = {level: build for h in hosts for level, build in _builds(report, h).items()}
    tools = _distinct(
        f"{name} {_part(tool).get('version', '')}".strip()
        for h in hosts
        for name, tool in _part(report.provenance, "hosts", h, "tools").items()
    )
    packages = [f"{name} {version}" for name, version in _part(control, "packages").items()]
    commit = str(_part(of, "git").get("commit") or "")[:10]
    changed = say("changed since") if _part(of, "git").get("changed") else ""
    found = {
        say("Machine"): "; ".join(machines),
        say("System"): "; ".join(systems),
        "httpd": "; ".join(
            f"{level}: {build.get('version')} ({build.get('source')})" for level, build in builds.items()
        ),
        say("Programs"): ", ".join(tools),
        say("Witnesses proven by"): ", ".join(
            _distinct(_part(entry).get("run") for entry in _part(of, "calibration", "hosts").values())
        ),
        "cgidlab": " ".join(part for part in (str(of.get("cgidlab") or ""), commit, changed) if part),
        say("Run from"): ", ".join([f"Python {control['python']}" if "python" in control else "", *packages]).strip(
            ", "
        ),
    }
    return [(name, value) for name, value in found.items() if value]


_MACHINE = ("cpu_model", "cpus", "memory_mb", "virtualization")
_SYSTEM = ("distribution", "distribution_version", "kernel", "architecture", "clocksource")
_UNITS = {"cpus": "CPUs", "memory_mb": "MB"}


def _joined_up(of: Mapping[str, object], names: Iterable[str]) -> str | None:
    found = [f"{of[name]} {_UNITS[name]}" if name in _UNITS else str(of[name]) for name in names if of.get(name)]
    return ", ".join(found) or None


def flat(values: Mapping[str, object], prefix: str = "") -> list[tuple[str, str]]:
    """Return a nested mapping as (dotted name, text) in its own order, as JSON writes it; None reads "not known"."""
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            rows += flat(value, f"{name}.")
        elif isinstance(value, list | tuple) and any(isinstance(v, Mapping | list | tuple) for v in value):
            rows += flat({str(i): v for i, v in enumerate(value, start=1)}, f"{name}.")
        elif isinstance(value, list | tuple):
            rows.append((name, ", ".join(_text(v) for v in value)))
        else:
            rows.append((name, _text(value)))
    return rows


def _text(value: object) -> str:
    if value is None:
        return words.NOT_KNOWN
    return value if isinstance(value, str) else json.dumps(value, default=str)
