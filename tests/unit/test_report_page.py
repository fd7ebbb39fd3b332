"""The HTML report: what it says, what it must not say, and that nothing in it can act."""

import dataclasses
import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import altair as alt
import pytest

from cgidlab import report
from cgidlab.analysis.intervals import Interval
from cgidlab.model import FailureKind, Figures, Outcome, Status
from cgidlab.report import script, words
from cgidlab.runs import harvest
from scripts import make_synthetic_run as synthetic

VOID = {"meta", "input", "br", "img", "link", "hr"}
HOSTILE = "</script x><script>alert(1)</script><!--<script <img src=x onerror=alert(1)>\"'&{{7*7}}\u2028"


class Page(HTMLParser):
    """The elements of a page as a browser's parser sees them."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self._inside = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: D102 -- HTMLParser's
        self.tags.append((tag, dict(attrs)))
        self._inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:  # noqa: D102 -- as above
        self._inside = "" if tag == self._inside else self._inside

    def handle_data(self, data: str) -> None:  # noqa: D102 -- as above
        if self._inside == "script":
            self.scripts[-1] += data
        elif self._inside != "style":
            self.texts.append(data)

    @property
    def words(self) -> str:
        """Everything a reader sees, without the scripts."""
        return " ".join(" ".join(self.texts).split())

    @property
    def data(self) -> Any:  # noqa: ANN401 -- JSON
        """What the page hands to its plots."""
        return json.loads(self.scripts[0])


@pytest.fixture(scope="module")
def run() -> synthetic.SyntheticRun:
    return synthetic.synthesise(90)


@pytest.fixture(scope="module")
def given(run: synthetic.SyntheticRun) -> report.ReportInput:
    return synthetic.report_input(run)


@pytest.fixture(scope="module")
def page(given: report.ReportInput) -> Page:
    return Page(report.render(given))


def with_reason(given: report.ReportInput, reason: str) -> report.ReportInput:
    first, *rest = given.trials
    bad = dataclasses.replace(first, outcome=Outcome(first.key, Status.INVALID, reason, FailureKind.CLIENT))
    return dataclasses.replace(given, trials=(bad, *rest))


def test_the_verdict_and_its_lines_stand_before_anything_else(given: report.ReportInput, page: Page) -> None:
    at = [page.words.index(line) for line in given.verdict_lines]

    assert page.words.index(given.verdict) < at[0]
    assert at == sorted(at)
    assert at[-1] < page.words.index("What it cost")


def test_a_verdict_that_only_joins_its_lines_is_not_said_twice(given: report.ReportInput) -> None:
    lines = ("The queue was full (a; b) in 2 cells; all agree.", "No.", "Nothing.", "The daemon.", "Nothing.")
    got = Page(report.render(dataclasses.replace(given, verdict=" ".join(lines), verdict_lines=lines)))

    assert got.words.count("The queue was full (a; b) in 2 cells.") == 1
    assert "Did the queue overflow? All agree." in got.words
    assert "What limits throughput? The daemon." in got.words


def test_nothing_is_fetched_from_anywhere(page: Page) -> None:
    fetching = {"src", "srcset", "data", "poster", "action", "formaction", "background", "xlink:href"}
    found = [(tag, name) for tag, attrs in page.tags for name in attrs if name in fetching]
    links = [attrs.get("href") or "" for tag, attrs in page.tags if tag in ("a", "link", "base")]

    assert found == []
    assert [link for link in links if "//" in link or ":" in link] == []
    assert [tag for tag, _ in page.tags if tag in ("link", "base", "iframe", "object", "embed")] == []
    assert "url(" not in script.page_style()
    assert "@import" not in script.page_style()


def test_the_policy_allows_the_scripts_of_the_page_and_nothing_else(page: Page) -> None:
    policy = next(
        a["content"] for t, a in page.tags if t == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    )
    want = script.policy(*page.scripts[1:])

    assert policy == want
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-eval" not in policy


def test_hostile_text_stays_text_wherever_it_comes_from(given: report.ReportInput, page: Page) -> None:
    first, *rest = given.trials
    levels = tuple((name, HOSTILE) for name, _ in first.levels)
    bad = dataclasses.replace(first, levels=levels, directory=f"trials/{HOSTILE}", host=HOSTILE)
    hostile = dataclasses.replace(
        with_reason(dataclasses.replace(given, trials=(rest[0], bad, *rest[1:])), HOSTILE),
        experiment=HOSTILE,
        question=HOSTILE,
        run_id=HOSTILE,
        verdict=HOSTILE,
        verdict_lines=(HOSTILE, f"{HOSTILE}? {HOSTILE}"),
        drift=HOSTILE,
        effects=tuple(dataclasses.replace(e, level=HOSTILE, at=(("clients", HOSTILE),)) for e in given.effects),
        provenance={HOSTILE: HOSTILE},
        timing={HOSTILE: HOSTILE},
    )
    got = Page(report.render(hostile))

    assert got.words.count(" ".join(HOSTILE.split())) > 20
    assert Counter(t for t, _ in got.tags)["script"] == Counter(t for t, _ in page.tags)["script"] == 3
    assert not [a for t, a in got.tags if t == "img" or any(name.startswith("on") for name in a)]
    assert got.scripts[1:] == page.scripts[1:]
    assert HOSTILE in got.data["axes"]["listen_backlog"]["level"]


def test_embedded_json_holds_no_character_that_markup_begins_with() -> None:
    got = script.embedded_json({HOSTILE: [HOSTILE]})

    assert not set("<>&\u2028") & set(got)
    assert json.loads(got) == {HOSTILE: [HOSTILE]}


def test_a_figure_nobody_observed_reads_not_known_and_never_0(given: report.ReportInput) -> None:
    blind = tuple(dataclasses.replace(t, figures=Figures(requests=10), overhead_s=None) for t in given.trials)
    nothing = dataclasses.replace(
        given,
        trials=blind,
        effects=(),
        noise_floor=(),
        timing={},
        provenance={"clock_source": None},
        detail=lambda _: None,
        requests=lambda _: None,
    )
    text = report.render(nothing)
    body = text.partition('id="trials-table"')[2].partition("</table>")[0].partition("<tbody>")[2]

    assert body.count("<td>\N{EN DASH}") == len(blind) * 15  # 14 figures and the overhead
    assert "\N{EN DASH}: not known." in text
    assert not re.search(r"<td>0\b", body)
    for absent in (
        "What it cost: there were not enough complete trials to compare levels.",
        "Responses: no complete trial measured one.",
        "Latency by percentile: no requests were recorded.",
        "Where a request&#39;s time goes: no trial recorded the states of its workers.",
        "Inside a trial: no instrument recorded a series.",
        "Noise floor: no level was run under two names.",
    ):
        assert absent in text


def test_where_the_factor_has_one_value_no_trial_is_said_to_be_missing(given: report.ReportInput) -> None:
    nothing = dataclasses.replace(given, effects=(), hosts=(), compares=False)

    for text in (report.render(nothing), report.as_markdown(nothing)):
        assert "nothing was compared, because the factor has one value" in text
        assert "not enough complete trials" not in text


def test_a_section_without_anything_to_show_goes_and_its_link_with_it(given: report.ReportInput) -> None:
    got = Page(report.render(dataclasses.replace(given, requests=lambda _: None, limits=())))
    ids = {a["id"] for tag, a in got.tags if tag == "section" and "id" in a}
    links = {(a["href"] or "")[1:] for tag, a in got.tags if tag == "a" and (a.get("href") or "").startswith("#")}

    assert not {"latency", "limits"} & (ids | links)
    assert {"responses", "run", "cells", "trials"} <= ids & links


def test_beside_each_interval_stand_the_checks_that_do_not_decide(given: report.ReportInput) -> None:
    first = given.effects[0]
    checked = dataclasses.replace(
        first,
        mde=0.031,
        family_interval=Interval(0.91, 1.02),
        sign_interval=Interval(0.93, 1.01),
        bootstrap_interval=None,
        wilcoxon_p=0.3125,
    )

    assert words.checks(checked) == (
        "3.1 %",
        "\N{MINUS SIGN}9.0 % to +2.0 %",
        "\N{MINUS SIGN}7.0 % to +1.0 %",
        "",
        "0.312",
    )
    got = Page(report.render(dataclasses.replace(given, effects=(checked,))))
    assert "3.1 % \N{MINUS SIGN}9.0 % to +2.0 % \N{MINUS SIGN}7.0 % to +1.0 % 0.312" in got.words


def test_candidates_for_the_limit_stand_with_their_figures_and_windows_with_their_checks(
    given: report.ReportInput, page: Page
) -> None:
    assert "cgid daemon SYNTHETIC: 0.97 of a core yes 6 of 9" in page.words
    assert f"Within the windows {given.windows}" in page.words
    assert given.stopping in page.words

    blind = Page(report.render(dataclasses.replace(given, limits=())))
    assert "What limits throughput: nothing that could limit was observed." in blind.words


def test_the_noise_floor_is_told_in_figures(given: report.ReportInput, page: Page) -> None:
    floor = given.noise_floor[0]
    one = Page(report.render(dataclasses.replace(given, noise_floor=(floor,))))
    assert f"{words.change(floor.ratio)} ({words.interval(floor.interval)}). From" in one.words
    assert "cannot tell apart. The largest: " in page.words


def test_invalid_and_failed_trials_are_counted_with_their_reasons(given: report.ReportInput, page: Page) -> None:
    counts = Counter(t.outcome.status for t in given.trials)

    assert counts[Status.INVALID] > 0
    assert counts[Status.FAILED] > 0
    assert (
        f"{counts[Status.INVALID]} invalid and {counts[Status.FAILED]} failed of {len(given.trials)} trials"
        in page.words
    )
    for trial in given.trials:
        assert trial.outcome.reason in page.words


def test_figures_of_trials_that_are_not_complete_are_in_no_plot_of_responses(
    given: report.ReportInput, page: Page
) -> None:
    want = [t.number for t in given.trials if t.outcome.status is Status.COMPLETE]

    assert page.data["sets"]["trials"]["trial"] == want


def test_every_link_leads_to_a_file_of_the_run(run: synthetic.SyntheticRun, page: Page, tmp_path: Path) -> None:
    directory = synthetic.write(run, tmp_path)
    derived = {"trials.csv", "summary.json"}
    links = {unquote(a["href"] or "") for t, a in page.tags if t == "a" and "href" in a}
    inner = {link[1:] for link in links if link.startswith("#")}
    ids = {a["id"] for _, a in page.tags if "id" in a}

    assert inner <= ids
    assert [link for link in links - derived if not link.startswith("#") and not (directory / link).exists()] == []
    assert len(links) > len(run.trials)


def test_a_synthetic_run_passes_the_checks_of_a_real_one(run: synthetic.SyntheticRun, tmp_path: Path) -> None:
    directory = synthetic.write(run, tmp_path)

    for trial in sorted(directory.glob("trials/*")):
        harvest.verify(trial)


def test_every_control_has_a_label_and_every_table_its_headings(page: Page) -> None:
    inside: list[str] = []
    for tag, attrs in page.tags:
        inside.append(tag)
        if tag in ("select", "input"):
            assert inside[-2] in ("label", "span"), attrs
        if tag == "th":
            assert attrs["scope"] in ("col", "row")
    landmarks = Counter(tag for tag, _ in page.tags)
    assert [landmarks[t] for t in ("main", "header", "footer", "nav", "h1")] == [1, 1, 1, 1, 1]


def test_every_plot_says_in_words_what_it_shows(given: report.ReportInput, page: Page) -> None:
    specs = page.data["specs"]

    assert all(spec["description"] for spec in specs.values())
    assert "clients 400" in specs["throughput_rps@listen_backlog"]["description"]
    assert "clients 400" in specs["throughput_rps@clients"]["description"]
    assert given.effects[0].reference in specs["effects-0"]["description"]


def test_every_plot_in_the_page_has_a_specification_and_its_data(page: Page) -> None:
    data = page.data
    drawn = {a["data-plot"] for _, a in page.tags if a.get("data-plot")}
    given_by_choice = {"dots", "medians", "run", "percentiles", "depth", "asleep", "heat", "limit"}

    def named(value: Any) -> set[str]:  # noqa: ANN401 -- walks JSON
        if isinstance(value, list):
            return set().union(*map(named, value))
        if isinstance(value, dict):
            own = {value["data"]["name"]} if "name" in value.get("data", {}) else set()
            return own.union(*map(named, value.values()))
        return set()

    assert drawn == {name.partition("@")[0] for name in data["specs"]}
    assert {name.partition("@")[2] for name in data["specs"]} == {"", *data["axes"]}
    for spec in data["specs"].values():
        assert named(spec) <= set(data["sets"]) | given_by_choice | set(spec.get("datasets", {}))


def test_without_a_comparison_the_page_says_so_and_still_has_its_tables(given: report.ReportInput) -> None:
    none = dataclasses.replace(given, trials=(), effects=(), noise_floor=())
    got = Page(report.render(none))

    assert "not enough complete trials to compare levels" in got.words
    assert "0 trials" in got.words


def test_a_run_that_was_interrupted_says_so(given: report.ReportInput) -> None:
    assert "This run is interrupted." in Page(report.render(dataclasses.replace(given, state="interrupted"))).words


def test_the_plotting_script_is_of_the_version_the_plots_are_written_for() -> None:
    assert alt.SCHEMA_VERSION.startswith(f"v{script.VEGA_LITE}.")


def test_a_kept_plotting_script_is_used_only_as_it_was_written(tmp_path: Path) -> None:
    want = script.plotting_script(tmp_path)
    (kept,) = tmp_path.iterdir()
    whole = kept.read_text()

    kept.write_text(whole[: len(whole) // 2])
    assert script.plotting_script(tmp_path) == want
    assert kept.read_text() == whole

    kept.write_text(whole + "alert(1)")
    assert script.plotting_script(tmp_path) == want


def test_a_report_is_written_whole_into_the_run_directory(given: report.ReportInput, tmp_path: Path) -> None:
    path = report.write(given, tmp_path)

    assert path == tmp_path / "report.html"
    assert path.read_text().rstrip().endswith("</html>")
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.slow
def test_a_thousand_trials_fit_into_six_megabytes() -> None:
    given = synthetic.report_input(synthetic.synthesise(1000))

    assert len(report.render(given).encode()) < 6_000_000
