"""The report in a real browser: drawn, usable, quiet, and without a network."""

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cgidlab import report
from scripts import make_synthetic_run as synthetic
from tests.e2e import browser as chromium

pytestmark = pytest.mark.skipif(bool(chromium.missing()), reason=chromium.missing() or "a browser is there")

DESKTOP, PHONE = (1280, 1000), (390, 844)
DRAWN = "return document.documentElement.dataset.plots"
MARKS = (
    "return [...document.querySelectorAll('[data-plot]')]"
    ".map(box => [box.dataset.plot, box.querySelectorAll('svg path').length])"
)
OVERFLOW = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def given() -> report.ReportInput:
    return synthetic.report_input(synthetic.synthesise(90))


@pytest.fixture(scope="module")
def page(given: report.ReportInput, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report.write(given, tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def browser() -> Iterator[chromium.Browser]:
    with chromium.browser() as session:
        yield session


@pytest.fixture
def shown(browser: chromium.Browser, page: Path) -> chromium.Browser:
    return show(browser, page)


def show(browser: chromium.Browser, page: Path, size: tuple[int, int] = DESKTOP) -> chromium.Browser:
    browser.size(*size)
    browser.media()
    browser.open(page)
    browser.wait_for("the plots", f"{DRAWN} !== undefined")
    assert browser.run(DRAWN) == "drawn", browser.console()
    return browser


def artifacts(tmp_path: Path) -> Path:
    """Return where screenshots are kept: what CI names, or the test's own directory."""
    path = Path(os.environ.get("CGIDLAB_ARTIFACTS") or tmp_path)
    path.mkdir(parents=True, exist_ok=True)
    return path


def column(browser: chromium.Browser, table: str, index: int) -> list[str]:
    rows = f"[...document.querySelectorAll('#{table} tbody tr')].filter(r => !r.hidden)"
    found = browser.run(f"return {rows}.map(r => r.cells[arguments[0]].textContent.trim())", index)
    return [str(text) for text in found]


def test_every_plot_is_drawn_and_the_console_stays_silent(shown: chromium.Browser) -> None:
    marks = shown.run(MARKS)

    assert len(marks) > 20
    assert [name for name, n in marks if n < 2] == []
    assert shown.console() == []


def test_the_page_fetches_nothing_and_could_not(shown: chromium.Browser) -> None:
    assert shown.run("return performance.getEntriesByType('resource').map(e => e.name)") == []

    shown.run(
        "window.refused = null;"
        "document.addEventListener('securitypolicyviolation', e => { window.refused = e.effectiveDirective; });"
        "fetch('http://127.0.0.1:9/').catch(() => 0);"
    )
    shown.wait_for("the policy to refuse a request", "return window.refused")
    assert shown.run("return window.refused") == "connect-src"
    shown.console()  # says that the request was refused: it is what was asked for


def test_every_complete_trial_is_a_dot(shown: chromium.Browser, given: report.ReportInput) -> None:
    want = sum(t.outcome.status == "complete" for t in given.trials)
    dots = "return document.querySelectorAll('[data-plot=throughput_rps] .mark-symbol.role-mark path').length"

    assert shown.run(dots) == want


def test_dots_of_a_second_name_are_hollow_and_still_seen(shown: chromium.Browser, given: report.ReportInput) -> None:
    want = sum(t.outcome.status == "complete" and ("listen_backlog", "100 again") in t.levels for t in given.trials)
    shown.click("input[name=axis][value=listen_backlog]")
    hollow = (
        "return [...document.querySelectorAll('[data-plot=throughput_rps] .mark-symbol.role-mark path')]"
        ".map(p => getComputedStyle(p)).filter(s => s.fillOpacity === '0')"
    )

    assert want > 3
    shown.wait_for("the other axis", f"{hollow}.length === {want}")
    assert shown.run(f"{hollow}.every(s => s.stroke.startsWith('rgb') && parseFloat(s.strokeWidth) > 1)") is True


def test_the_filter_keeps_the_rows_that_hold_every_word(shown: chromium.Browser, given: report.ReportInput) -> None:
    shown.type("input[data-filters=trials-table]", "Again complete")
    want = [
        str(t.number)
        for t in given.trials
        if t.outcome.status == "complete" and ("listen_backlog", "100 again") in t.levels
    ]

    assert column(shown, "trials-table", 0) == want
    told = "return document.getElementById('trials-table-count').textContent"
    assert shown.run(told) == f"{len(want)} of {len(given.trials)} shown"


def test_the_filter_knows_a_column_by_its_name(shown: chromium.Browser, given: report.ReportInput) -> None:
    """`clients=50` is no row with 50 somewhere, and `listen_backlog=1` none of 100 or 1024."""
    shown.type("input[data-filters=trials-table]", "clients=50,200 listen_backlog=1 status=complete")
    want = [
        str(t.number)
        for t in given.trials
        if t.outcome.status == "complete"
        and t.levels in {(("listen_backlog", "1"), ("clients", c)) for c in ("50", "200")}
    ]

    assert len(want) > 5
    assert column(shown, "trials-table", 0) == want


def test_a_table_sorts_by_figure_both_ways_from_the_keyboard_with_the_unknown_last(
    shown: chromium.Browser, given: report.ReportInput
) -> None:
    throughput = 3 + len(given.factors)
    heading = f"#trials-table thead th:nth-child({throughput + 1})"
    sorting = f"return document.querySelector('{heading}').getAttribute('aria-sort')"
    unknown = sum(t.figures.throughput_rps is None for t in given.trials)
    assert unknown > 0

    for want_sort in ("ascending", "descending"):
        shown.type(f"{heading} button", "\ue007")  # the Enter key
        got = column(shown, "trials-table", throughput)
        known = [float(text.replace(",", "")) for text in got[: len(got) - unknown]]

        assert shown.run(sorting) == want_sort
        assert got[len(got) - unknown :] == ["\N{EN DASH}"] * unknown
        assert known == sorted(known, reverse=want_sort == "descending")
        assert len(known) > 50


def test_choosing_a_trial_changes_its_plots_and_its_links(shown: chromium.Browser, given: report.ReportInput) -> None:
    drawn = "return document.querySelector('[data-of-trial=depth] .mark-text.role-mark').textContent"
    link = "return document.querySelector('[data-raw=\"instruments/listen_queue.csv\"]').getAttribute('href')"
    seen = set()
    for limit in ("5", "1024"):
        trial = next(t for t in given.trials if str(t.figures.queue_limit) == limit)
        choose(shown, "trial", str(trial.number))
        shown.wait_for("the chosen trial's plot", f"{drawn} === 'limit {limit}'")
        seen.add(shown.run("return document.querySelector('[data-of-trial=depth] .mark-area path').getAttribute('d')"))
        assert shown.run(link).endswith("/instruments/listen_queue.csv")
        assert f"/{trial.number:03d}-" in shown.run(link)
    assert len(seen) == 2
    assert shown.console() == []


def test_a_trial_without_an_instrument_says_not_known_instead_of_an_empty_plot(
    shown: chromium.Browser, given: report.ReportInput
) -> None:
    blind = next(t for t in given.trials if t.figures.queue_limit is None and t.figures.requests is not None)
    choose(shown, "trial", str(blind.number))
    state = "return ['depth', 'heat'].map(n => document.querySelector(`[data-of-trial=${n}]`).hidden)"
    shown.wait_for("the plot to go", f"return ({state.removeprefix('return ')})[0]")

    assert shown.run(state) == [True, False]
    assert "Not known" in shown.run("return document.querySelector('[data-of-trial=depth] + p').innerText")
    assert shown.console() == []


def test_choosing_a_place_changes_the_percentiles_of_all_levels(shown: chromium.Browser) -> None:
    lines = "[...document.querySelectorAll('[data-plot=percentiles] .mark-line path')].map(p => p.getAttribute('d'))"
    before = shown.run(f"return {lines}.join()")
    assert shown.run(f"return {lines}.length") == 5
    shown.click("input[name=place][value='50']")

    shown.wait_for("the percentiles to change", f"return {lines}.length === 5 && {lines}.join() !== {before!r}")
    assert shown.console() == []


def test_the_axis_of_the_responses_can_be_switched(shown: chromium.Browser, given: report.ReportInput) -> None:
    titles = (
        "[...document.querySelectorAll('[data-plot=latency_p99_ms] .role-axis-title text')].map(t => t.textContent)"
    )
    ticks = (
        "[...document.querySelectorAll('[data-plot=latency_p99_ms] .role-axis')].filter(a => "
        "/clients|listen_backlog/.test(a.querySelector('.role-axis-title')?.textContent ?? ''))"
        ".flatMap(a => [...a.querySelectorAll('.role-axis-label text')]).map(t => t.textContent)"
    )
    assert "clients" in shown.run(f"return {titles}")
    assert shown.run(f"return {ticks}") == ["50", "200", "400"]
    shown.click("input[name=axis][value=listen_backlog]")

    shown.wait_for("the other axis", f"return {titles}.includes('listen_backlog (log scale)')")
    assert shown.run(f"return {ticks}") == ["1", "5", "100", "1,024"]
    want = sum(t.outcome.status == "complete" for t in given.trials)
    dots = "return document.querySelectorAll('[data-plot=throughput_rps] .mark-symbol.role-mark path').length"
    assert shown.run(dots) == want
    assert shown.console() == []


def test_a_map_of_latency_over_time_is_drawn_of_any_trial(shown: chromium.Browser, given: report.ReportInput) -> None:
    rects = "document.querySelectorAll('[data-of-trial=heat] .mark-rect path').length"
    seen = set()
    for trial in [t for t in given.trials if t.outcome.status == "complete"][:3]:
        before = shown.run(f"return {rects}")
        choose(shown, "trial", str(trial.number))
        shown.wait_for("the map", f"return {rects} > 50 && {rects} !== {before}")
        seen.add(shown.run(f"return {rects}"))
    assert len(seen) > 1


def test_a_table_says_that_it_goes_on_until_its_last_column_is_seen(shown: chromium.Browser) -> None:
    box = "document.querySelector('#trials .scroll')"
    hint = f"getComputedStyle({box}.querySelector('.more')).display"

    assert shown.run(f"return {hint}") == "inline"
    shown.run(f"{box}.scrollLeft = {box}.scrollWidth")
    shown.wait_for("the hint to go", f"return {hint} === 'none'")
    assert shown.run(f"return {box}.classList.contains('more-left')") is True


def choose(browser: chromium.Browser, select: str, value: str) -> None:
    browser.run(
        "const s = document.getElementById(arguments[0]); s.value = arguments[1];"
        "s.dispatchEvent(new Event('change', {bubbles: true}))",
        select,
        value,
    )
    assert browser.run("return document.getElementById(arguments[0]).value", select) == value


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_its_screen_and_its_text_contrasts(
    browser: chromium.Browser, page: Path, tmp_path: Path, size: tuple[int, int], scheme: str
) -> None:
    show(browser, page, size).media(scheme=scheme)
    colours = browser.run(
        "const s = getComputedStyle(document.documentElement);"
        "return Object.fromEntries(['paper', 'panel', 'ink', 'soft', 'link', 'good', 'bad', 'unsure', 'c1', 'c2', 'c3',"
        " 'c4', 'c5', 'c6'].map(n => [n, s.getPropertyValue('--' + n).trim()]))"
    )
    browser.screenshot(artifacts(tmp_path) / f"report-{scheme}-{size[0]}.png")

    assert browser.run(OVERFLOW) == 0
    for text in ("ink", "soft", "link", "good", "bad", "unsure"):
        assert min(contrast(colours[text], colours[ground]) for ground in ("paper", "panel")) >= 4.5, text
    for mark in ("c1", "c2", "c3", "c4", "c5", "c6"):
        assert contrast(colours[mark], colours["paper"]) >= 3, mark


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two #rrggbb colours as WCAG 2 defines it."""

    def luminance(colour: str) -> float:
        shares = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_paper_is_light_whatever_the_screen_is(browser: chromium.Browser, page: Path, tmp_path: Path) -> None:
    show(browser, page).media("print", "dark")
    browser.screenshot(artifacts(tmp_path) / "report-print.png")

    assert browser.run("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.run("return getComputedStyle(document.querySelector('#trials .scroll')).maxHeight") == "none"


def test_hostile_text_from_the_run_does_nothing(
    browser: chromium.Browser, given: report.ReportInput, tmp_path: Path
) -> None:
    hostile = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    trials = tuple(
        dataclasses.replace(t, levels=tuple((n, hostile + label) for n, label in t.levels), directory=hostile)
        for t in given.trials
    )
    factors = tuple(
        dataclasses.replace(f, levels=tuple(dataclasses.replace(lv, label=hostile + lv.label) for lv in f.levels))
        for f in given.factors
    )
    bad = dataclasses.replace(
        given, trials=trials, factors=factors, reference=hostile + given.reference, question=hostile, drift=hostile
    )
    show(browser, report.write(bad, tmp_path))
    browser.run("document.querySelector('#trials-table thead button').click()")

    assert browser.run("return document.title").startswith("synthetic: ")
    assert browser.run("return document.images.length") == 0
    assert browser.console() == []


@pytest.mark.slow
def test_a_report_of_thousands_of_trials_still_draws_every_dot(browser: chromium.Browser, tmp_path: Path) -> None:
    large = synthetic.report_input(synthetic.synthesise(3000, window_s=0.5))
    show(browser, report.write(large, tmp_path))

    drawn = "return document.querySelectorAll('[data-plot={}] canvas').length"
    assert [browser.run(drawn.format(name)) for name in ("throughput_rps", "run")] == [1, 1]
    assert browser.console() == []
