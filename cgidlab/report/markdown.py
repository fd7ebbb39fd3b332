"""The report as Markdown, for an issue or a wiki: verdict, cells, effects, what was left out, how it was measured."""

import re
from collections.abc import Iterable, Sequence

from cgidlab import figures
from cgidlab.report import remedies, words
from cgidlab.report.cells import by_cell, reasons
from cgidlab.report.data import ReportInput
from cgidlab.report.facts import failures, flat, head, headline, overflow_words, verdict_lines
from cgidlab.report.plots import noise_row, title
from cgidlab.report.say import ENGLISH

# Wherever it stands; a name such as listen_backlog, a range and a sign mean nothing to Markdown, so they stay readable.
_ACTIVE = re.compile(
    r"[\\`*\[\]|~@]"
    r"|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])"  # within a word it is no emphasis
    r"|<(?=[A-Za-z/!?])"  # a tag
    r"|#(?=\d)"  # an issue
    r"|^[#>+-]|^\d{1,9}(?=[.)](?:\s|$))"  # a heading, a quotation, a list
)
_ENTITY = re.compile(r"&(?=#?\w+;)")


def escape(text: str) -> str:
    """Return text that Markdown shows as it is, on one line: no markup, no HTML, no link, no mention."""
    one_line = " ".join(text.split())
    return _ENTITY.sub("&amp;", _ACTIVE.sub(_escaped, one_line))


def _escaped(found: re.Match[str]) -> str:
    """Return it with a backslash; behind a number it is the point that makes a list."""
    return f"{found[0]}\\" if found[0].isdigit() else f"\\{found[0]}"


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]], left: int) -> list[str]:
    rule = ["---"] * left + ["---:"] * (len(headings) - left)
    lines = [headings, rule, *([escape(cell) for cell in row] for row in rows)]
    return [f"| {' | '.join(line)} |" for line in lines]


def as_markdown(report: ReportInput) -> str:
    """Return the report as GitHub-flavoured Markdown; strings from the run cannot become markup."""
    say = report.say
    out = [f"# {escape(report.experiment)}", "", escape(report.question), ""]
    if report.state != "finished":
        state = escape(say("This run is {state}.", state=report.state))
        out += [f"**{state}** {escape(say('What follows rests on the trials that were done.'))}", ""]
    if report.answers:
        out += [*_table([say("Answer"), ""], report.answers, 2), ""]
    if say.language != ENGLISH:
        out += [f"## {say('In full')}", ""]
    out += [f"**{escape(say(overflow_words(report.overflow)))}.** {escape(headline(report))}", ""]
    for i, (line, told) in enumerate(zip(report.verdict_lines, verdict_lines(report), strict=True), start=1):
        question = f"**{escape(told.question)}** " if told.question else ""
        out.append(f"{i}. {question}{escape(line)}")
    out += ["", " \N{MIDDLE DOT} ".join(escape(part) for part in (f"run {report.run_id}", *head(report)))]
    for heading, lines in (
        (say("Cells"), [say("Medians of the complete trials."), "", *_cells(report)]),
        (say("Effects"), _effects(report)),
        (say("Remedies"), _remedies(report)),
        (say("Servers"), _hosts(report)),
        (say("What limits throughput"), _limits(report)),
        (say("Trials that are not complete"), _left_out(report)),
        (say("How it was measured"), _measured(report)),
    ):
        out += ["", f"## {heading}", "", *lines] if lines else []
    return "\n".join(out) + "\n"


def _cells(report: ReportInput) -> list[str]:
    cells = by_cell(report.trials, report.factors, report.whole_blocks)
    if not cells:
        return [report.say("No trial was run.")]
    say = report.say
    names = [escape(name) for name, _ in cells[0].levels]
    headings = [*names, say("Complete trials"), *(say(c.heading) for c in words.SHOWN)]
    rows = (
        [
            *(label for _, label in cell.levels),
            say("{n} of {all}", n=len(cell.complete), all=len(cell.trials)),
            *(words.number(cell.median(c.name), c.unit) for c in words.SHOWN),
        ]
        for cell in cells
    )
    return _table(headings, rows, len(names))


def _effects(report: ReportInput) -> list[str]:
    if report.observed:
        return [report.say("Servers were watched as they were: one window, nothing varied.")]
    if not report.effects:
        return [report.say("What it cost: there were not enough complete trials to compare levels.")]
    say = report.say
    columns = ("Response", "Level", "Against", "At", "Change", "95 % interval", "Pairs", "Answer")
    rows = (
        [
            title(e.response, say),
            e.level,
            e.reference,
            words.where(e, say),
            *words.effect_size(e, say),
            str(e.blocks),
            say(words.ANSWERS[e.answer]),
        ]
        for e in report.effects
    )
    return _table([say(name) for name in columns], rows, 4)


def _remedies(report: ReportInput) -> list[str]:
    """Return what each way to serve gains and costs; nothing where the handler was no factor."""
    headings = [report.say(text) for text in remedies.HEADINGS]
    return _table(headings, remedies.rows(report.remedies, report.say), len(headings)) if report.remedies else []


def _hosts(report: ReportInput) -> list[str]:
    """Return each comparison host by host; nothing where there are not several hosts."""
    columns = ("Response", "Level", "At", "Host", "Change", "95 % interval", "Pairs", "At the reference", "Hosts agree")
    rows = words.host_rows(report.hosts, report.say)
    return _table([report.say(name) for name in columns], rows, 4) if rows else []


def _limits(report: ReportInput) -> list[str]:
    if not report.limits:
        return []
    say = report.say
    rows = (
        [c.name, c.text, say("yes" if c.saturated else "no"), say("{n} of {all}", n=c.cells, all=c.cells_known)]
        for c in report.limits
    )
    columns = ("Candidate", "Figure", "At its limit", "Cells at the limit")
    return _table([say(name) for name in columns], rows, 4)


def _left_out(report: ReportInput) -> list[str]:
    groups = reasons(report.trials)
    files = [f"- left out: {escape(name)}: {escape(why)}" for name, why in report.damaged]
    if not groups:
        return files or [report.say("None.")]
    kinds = [f"- {n} {kind}: {meaning}; {retried}" for kind, n, meaning, retried in failures(report.trials)]
    return (
        files
        + kinds
        + [
            f"- {count} {status}: {escape(reason)} (trials {', '.join(str(t.number) for t in trials[:10])}"
            f"{' and more' if count > len(trials[:10]) else ''})"
            for status, reason, count, trials in groups
        ]
    )


def _measured(report: ReportInput) -> list[str]:
    smallest = ", ".join(f"{words.percent(s.share)} of {figures.title(s.response)}" for s in report.smallest_effects)
    design = [
        f"- Order: randomised complete blocks, seed {report.seed}",
        f"- Rule: effect of {escape(report.factor)} against {escape(report.reference)}",
        f"- Smallest effects that matter: {escape(smallest) or 'none named'}",
        f"- Noise floor: {_noise(report)}",
        f"- Drift: {escape(report.drift) or words.NOT_KNOWN}",
        f"- Within the windows: {escape(report.windows) or words.NOT_KNOWN}",
        *([f"- Passes: {escape(report.watching)}"] if report.watching else []),
        f"- Stopping: {escape(report.stopping) or words.NOT_KNOWN}",
    ]
    lines = ["- Watched as it was: one window, nothing varied"] if report.observed else design
    rows = [*words.times(report.timing, report.say), *flat(report.provenance)]
    return lines + [f"- {escape(name)}: {escape(value)}" for name, value in rows]


def _noise(report: ReportInput) -> str:
    found = (f"{noise_row(n)} {words.change(n.ratio)} ({words.interval(n.interval)})" for n in report.noise_floor)
    return escape("; ".join(found) or words.NOT_KNOWN)
