"""The report as Markdown, for an issue or a wiki: verdict, cells, effects, what was left out, how it was measured."""

import re
from collections.abc import Iterable, Sequence

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
    r"|:(?=//)|(?<=www)\."  # an address, which GitHub makes a link of
    r"|^[#>+-]|^\d{1,9}(?=[.)](?:\s|$))"  # a heading, a quotation, a list
)
_MOST_NUMBERS = 10  # of trials that ended alike
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
    if report.searched:
        return []
    if not report.compared:
        return [report.say(words.TOO_FEW_TO_COMPARE if report.compares else words.NOTHING_COMPARED)]
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
            say(words.answer(e)),
        ]
        for e in report.compared
    )
    return _table([say(name) for name in columns], rows, 4)


def _remedies(report: ReportInput) -> list[str]:
    """Return what each way to serve gains and costs; nothing where the handler was no factor."""
    headings = [report.say(text) for text in remedies.HEADINGS]
    return _table(headings, remedies.rows(report.remedies, report.say), len(headings)) if report.remedies else []


def _hosts(report: ReportInput) -> list[str]:
    """Return each comparison host by host; nothing where there are not several hosts."""
    columns = ("Response", "Level", "At", "Host", "Change", "95 % interval", "Pairs", "At the reference", "Hosts agree")
    rows = words.host_rows(report.compared_by_host, report.say)
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
    groups, say = reasons(report.trials), report.say
    files = [say("left out: {file}: {why}", file=escape(name), why=escape(why)) for name, why in report.damaged]
    kinds = [f"{n} {kind}: {say(meaning)}; {say(retried)}" for kind, n, meaning, retried in failures(report.trials)]
    found = [
        say(
            "{n} {status}: {reason} (trials {numbers})",
            n=count,
            status=say(status),
            reason=escape(reason),
            numbers=", ".join(str(t.number) for t in trials[:_MOST_NUMBERS])
            + (say(" and more") if count > _MOST_NUMBERS else ""),
        )
        for status, reason, count, trials in groups
    ]
    return [f"- {line}" for line in (*files, *(kinds if groups else ()), *found)] or [say("None.")]


def _measured(report: ReportInput) -> list[str]:
    say = report.say
    unknown = say(words.NOT_KNOWN)
    smallest = (
        say("{share} of {response}", share=words.percent(s.share), response=title(s.response, say))
        for s in report.smallest_effects
    )
    design = [
        say("Order: randomised complete blocks, seed {seed}", seed=report.seed),
        say("Rule: effect of {factor} against {reference}", factor=report.factor, reference=report.reference),
        say("Smallest effects that matter: {shares}", shares=", ".join(smallest) or say("none named")),
        say("Noise floor: {found}", found=_noise(report)),
        say("Drift: {found}", found=report.drift or unknown),
        say("Within the windows: {found}", found=report.windows or unknown),
        *([say("Passes: {found}", found=report.watching)] if report.watching else []),
        say("Stopping: {found}", found=report.stopping or unknown),
    ]
    lines = [say("Watched as it was: one window, nothing varied")] if report.observed else design
    rows = [*words.times(report.timing, say), *flat(report.provenance)]
    return [f"- {escape(line)}" for line in (*lines, *(f"{name}: {value}" for name, value in rows))]


def _noise(report: ReportInput) -> str:
    say = report.say
    found = (f"{noise_row(n)} {words.change(n.ratio)} ({words.interval(n.interval, say)})" for n in report.noise_floor)
    return "; ".join(found) or say(words.NOT_KNOWN)
