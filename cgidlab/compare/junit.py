"""A comparison of two runs as JUnit's XML, for CI: a test case a comparison, which fails where B is worse."""

from xml.sax.saxutils import quoteattr

from cgidlab import figures
from cgidlab.analysis.findings import Answer
from cgidlab.compare import telling
from cgidlab.compare.ratios import Ratio


def xml(name: str, found: tuple[Ratio, ...]) -> str:
    """Return the judged comparisons as one test suite; what is not decided is skipped, with what is known of it."""
    asked = telling.judged(found)
    undecided = sum(r.answer is Answer.INCONCLUSIVE for r in asked)
    counts = f'tests="{len(asked)}" failures="{sum(r.worse for r in asked)}" errors="0" skipped="{undecided}"'
    cases = "\n".join(_case(name, r) for r in asked)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<testsuites>\n<testsuite name={_text(name)} {counts}>\n{cases}\n</testsuite>\n</testsuites>\n"
    )


def _case(suite: str, ratio: Ratio) -> str:
    title = f"{figures.title(ratio.response)}: {telling.place(ratio)}"
    said = f"{telling.word(ratio)} {telling.deciding_text(ratio)}".strip()
    inner = ""
    if ratio.worse:
        inner = f"<failure message={_text(said)}/>"
    elif ratio.answer is Answer.INCONCLUSIVE:
        inner = f"<skipped message={_text(said)}/>"
    return f"<testcase classname={_text(suite)} name={_text(title)}>{inner}</testcase>"


def _text(value: str) -> str:
    """Return an attribute; what XML 1.0 has no character for becomes a mark."""
    return quoteattr("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in value))
