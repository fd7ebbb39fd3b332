"""Verdict and report in Japanese: the same templates with the same fields, the same figures, and no English left."""

import ast
import dataclasses
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cgidlab import report
from cgidlab.errors import SpecError
from cgidlab.failures import RULES
from cgidlab.figures import COLUMNS
from cgidlab.model import Status
from cgidlab.report import facts, page, remedies, say, words
from cgidlab.report.japanese import TEXTS
from cgidlab.terminal import columns, folded
from cgidlab.verdict import japanese, japanese_parts, programs, sentences, templates
from cgidlab.verdict.ending import Ending
from scripts import make_synthetic_run as synthetic
from tests.unit import verdict_data
from tests.unit.test_report_page import Page

ROOT = Path(__file__).parents[2]
ENGLISH = re.compile(r"[a-z]{2,} [a-z]{2,} [a-z]{2,}")
NAMES = re.compile(r"httpd|mod_cgid|listen_backlog|clients|somaxconn")


def fields(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", text))


def test_every_template_of_the_verdict_exists_in_each_language_with_the_same_fields() -> None:
    assert set(templates.EN) <= set(japanese.TEMPLATES)
    assert set(templates.TOPICS) <= set(japanese.TOPICS)
    for name, english in templates.EN.items():
        assert fields(japanese.TEMPLATES[name]) == fields(english), name
    for english, other in japanese_parts.PARTS.items():
        assert fields(other) == fields(english), english


def told(name: str) -> Iterator[tuple[str, str]]:
    for line in verdict_data.recorded(name).verdict.answers:
        yield line.text, line.told_in("ja")[1]


@pytest.mark.parametrize("name", verdict_data.RUNS)
def test_a_verdict_in_japanese_has_the_same_figures_and_no_english_sentence(name: str) -> None:
    for english, other in told(name):
        assert Counter(re.findall(r"\d[\d,.]*\d|\d", other)) == Counter(re.findall(r"\d[\d,.]*\d|\d", english)), other
        assert not ENGLISH.search(NAMES.sub("", other)), other
        assert re.search(r"[\u3040-\u30ff\u4e00-\u9fff]", other), other


@pytest.mark.parametrize(
    ("english", "want"),
    [
        ("full 68 % of the time, up to 1 worker asleep", "68 % の時間は満杯、最大でワーカースレッド 1 個がスリープ"),
        (" at 200 and 400 clients", "(200、400 クライアント)"),
        (" and listen_backlog 100 at 200 and 400 clients", "、listen_backlog 100(200、400 クライアント)"),
        (
            "prefer mod_cgid to mod_cgi: load mod_cgid; scripts stay",
            "mod_cgi より mod_cgid を選ぶ。mod_cgid を読み込む。スクリプトはそのまま",
        ),
        (" at 200 to 800 clients", "(200〜800 クライアント)"),
        (" at 200 clients and script hello", "(200 クライアント、スクリプト hello)"),
        (" and mpm worker at 50 clients", "、MPM worker(50 クライアント)"),
        (
            "lower the backlog for the rate that was asked for here (open loop) from 100 to 5, which was full at times",
            "今回のレート(オープンループ)では、バックログを 100 から 5(ときどき満杯になった) に下げる",
        ),
        (
            "INTERRUPTED, 4 of 84 trials: no block is whole, so no level can be compared with another.",
            "中断(84 試行のうち 4 が終了): 完了したブロックがないので、水準どうしを比べられない。",
        ),
        (
            "Go on with: ./runner.py run --resume 20261129T1-aa",
            "続きを実行するには: ./runner.py run --resume 20261129T1-aa",
        ),
        ("Raise MaxRequestWorkers.", "MaxRequestWorkers を上げる。"),
        ("the name of a level that nobody knows", "the name of a level that nobody knows"),
        ("1024", "1024"),
        (
            "limits: the cgid daemon 0.93 (0.80 to 1.06) and the host's CPUs 1 (0.9 to 1); does not limit: the driver",
            "限界である: cgid デーモン 0.93(0.80〜1.06)、ホストの CPU 1(0.9〜1)、限界ではない: 負荷生成プログラム",
        ),
    ],
)
def test_a_value_is_read_by_its_form_and_stays_where_it_has_none(english: str, want: str) -> None:
    assert japanese.said(english) == want


def texts_of_modules() -> Iterator[str]:
    for path in [*(ROOT / "cgidlab/report").glob("*.py"), *(ROOT / "cgidlab/runs").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            named = isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "say"
            if named and isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                yield str(node.args[0].value)


def texts_of_tables() -> Iterator[str]:
    yield from words.ANSWERS.values()
    yield "not decided alone"
    yield from words._TIMES.values()  # noqa: SLF001 -- a table of texts
    yield from (c.heading for c in words.SHOWN)
    yield from (c.title for c in COLUMNS.values() if c.title != c.name)
    yield from (*remedies.HEADINGS, *remedies.CHANGES.values(), remedies.BACKLOG, remedies.OTHER)
    yield from (handler.takes for handler in programs.HANDLERS.values())
    yield from (handler.program.both for handler in programs.HANDLERS.values() if handler.program is not None)
    yield from facts._OVERFLOW.values()  # noqa: SLF001 -- same
    yield from (text for _, *both in page._SECTIONS for text in both if text)  # noqa: SLF001 -- same
    yield from (text for rule in RULES.values() for text in (rule.meaning, rule.retried))
    yield from (words.NOT_KNOWN, words.NOTHING_COMPARED, *(status.value for status in Status))


def texts_of_the_template() -> list[str]:
    text = (ROOT / "cgidlab/report/templates/report.html.j2").read_text(encoding="utf-8")
    return re.findall(r'\bt\("([^"]+)"', text)


def test_every_text_of_the_report_exists_in_each_language_with_the_same_fields() -> None:
    found = {*texts_of_modules(), *texts_of_tables(), *texts_of_the_template()}

    assert len(found) > 200
    for language, table in say.TABLES.items():
        assert sorted(found - set(table)) == [], language
        assert {text for text in found if fields(table[text]) != fields(text)} == set(), language


def test_no_text_is_translated_that_nobody_says() -> None:
    found = {*texts_of_modules(), *texts_of_tables(), *texts_of_the_template()}

    assert sorted(set(TEXTS) - found) == []


def test_what_the_verdict_says_too_stands_there_alone() -> None:
    assert set(TEXTS) & set(japanese_parts.PARTS) == set()


def test_a_report_in_japanese_is_one() -> None:
    given = synthetic.report_input(synthetic.synthesise(30, window_s=0.5))
    text = report.render(dataclasses.replace(given, say=report.Say("ja")))
    prose = re.sub(
        r"SYNTHETIC[^<]*|<(script|style)\b.*?</\1>|<details lang=\"en\">.*?</details>", "", text, flags=re.DOTALL
    )

    assert '<html lang="ja">' in text
    assert "どれだけ影響したか" in Page(text).words
    assert text.count("\u308b") > 20
    assert "trials complete" not in prose


def test_a_language_that_nobody_wrote_is_refused() -> None:
    with pytest.raises(SpecError, match="no report can be said in `fr`"):
        report.Say("fr")
    assert set(sentences.LANGUAGES) == set(say.LANGUAGES)


def test_lines_are_folded_by_the_columns_that_letters_take() -> None:
    text = "溢れた。100(200 クライアント以上): 69 % の時間は満杯、最大でワーカースレッド 359 個がスリープ。"
    lines = folded(text, 30, "溢れ  ", "      ").split("\n")

    assert all(columns(line) <= 31 for line in lines)
    assert "".join(line.strip() for line in lines).replace(" ", "") == ("溢れ" + text).replace(" ", "")
    assert not any(line.strip()[0] in "。、)ー" for line in lines)
    assert folded("one two three", 8, "a ", "  ") == "a one\n  two\n  three"


def test_markdown_in_japanese_is_japanese_but_for_the_whole_text() -> None:
    given = synthetic.report_input(synthetic.synthesise(30, window_s=0.5))
    other = report.as_markdown(dataclasses.replace(given, say=report.Say("ja")))
    english = report.as_markdown(given)

    headings, in_english = (re.findall(r"(?m)^## .*$", text) for text in (other, english))
    assert [h for h in headings if not re.search(r"[\u3040-\u30ff\u4e00-\u9fff]", h)] == []
    assert len(headings) == len(in_english) + 1, "above the whole text one says that it is English"
    assert "| 応答 | 水準 |" in other
    measured = other[other.index("## 測定方法") :].partition("\n- experiment_sha256")[0]
    assert [line for line in measured.splitlines() if re.match(r"- [A-Z][a-z]", line)] == []


def test_each_response_has_a_name_in_japanese() -> None:
    """The verdict names whatever response an experiment asks for."""
    titles = [c.title for c in COLUMNS.values() if c.title != c.name]

    assert [t for t in titles if japanese.said(t) == t] == []
    assert japanese.said("5 % of memory of the server") == "サーバーのメモリの 5 %"


def ending_lines() -> list[str]:
    """Return every way in which a run that is not at its end is told."""
    base = Ending("x --y", interrupted=True, done=4, planned=84, planned_blocks=10)
    changed: list[dict[str, Any]] = [{}, {"done": 0}, {"searching": True}, {"whole_blocks": 3}, {"whole_blocks": 7}]
    changed.append({"planned": 1, "planned_blocks": 1, "whole_blocks": 1})
    made = [dataclasses.replace(base, running=running, **more) for more in changed for running in (False, True)]
    return [line for one in made for line in one.lines]


NOTES = [
    "the witnesses were not calibrated (--uncalibrated)",
    "cgid_queue is not proven on web1 (its controls did not pass) and is not counted",
    "1 damaged file is left out",
    "2 damaged files are left out",
    "the server web1 was lost in block 3, which another one ran (it rebooted)",
    "it was extended from 6 to 10 blocks after it had been looked at, which makes its error of 5 % up to 7 %",
    "the host web1 is not as it was: the run left f1",
    "the host web1 is not as it was: the run left f1, f2 and 3 more",
    "the host web1 is not as it was: perhaps of the run: f1",
    "the host web1 is not as it was: the run left f1; and nothing tells whose this is: f2",
    "the host web1 is not as it was: perhaps of the run: how the host is now is not known: f1",
]


@pytest.mark.parametrize("text", [*ending_lines(), *NOTES])
def test_what_is_said_of_a_run_beside_its_trials_is_japanese(text: str) -> None:
    other = japanese.said(text)

    assert not ENGLISH.search(NAMES.sub("", re.sub(r"\(it rebooted\)", "", other))), other
    assert re.search(r"[\u3040-\u30ff\u4e00-\u9fff]", other), other


LEAST = "Change nothing yet: 6 blocks are the least that decides anything"


@pytest.mark.parametrize(
    "text",
    [
        f"{LEAST}, and the budget cut the run to 1: `x --y`.",
        f"{LEAST}: `x --y`, or set repetitions to 6 or more in the file.",
        "The budget of 3 min cut the run to 1 block of the 6 to 10 planned.",
    ],
)
def test_what_is_said_of_a_run_that_a_budget_cut_is_japanese(text: str) -> None:
    left = set(re.findall(r"[a-z]{2,}", re.sub(r"`[^`]*`", "", japanese.said(text))))

    assert left <= {"min", "repetitions"}
