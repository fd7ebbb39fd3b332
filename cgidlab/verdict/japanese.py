"""How the verdict's lines are said in Japanese: the same templates, and what goes into them.

A value that goes into a template is English text of a known form ("full 68 % of the time"): `japanese_parts` has each
beside its Japanese. A value is read by the one and said by the other, piece by piece. What has no form, such as
the name of a level or a reason that a program gave, stays as it is; tests find a form that is missing.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

from cgidlab.verdict.japanese_parts import PARTS

# ruff: noqa: E501 -- a template is one line, and full-width punctuation is how Japanese is written

TOPICS = {
    "required": "要求",
    "found": "限界の位置",
    "reload": "再読み込み",
    "answer": "結論",
    "overflow": "溢れ",
    "throughput_rps": "スループット",
    "latency_p99_ms": "テール",
    "response": "応答",
    "errors": "エラー",
    "limit": "限界",
    "do": "対処",
    "trust": "信頼性",
}

TEMPLATES = {
    "clause": "{text}",
    "named": "{name}:",
    "overflow_yes": "溢れた。{level}{at}: {facts}。",
    "overflow_moment": "一瞬だけ溢れた。{level}{at}: {facts}。",
    "overflow_not_at": "{at}では溢れない。",
    "overflow_also": "{level} でも溢れる。",
    "overflow_no_at_reference": "{level} では溢れない。",
    "overflow_elsewhere": "溢れた。{level}: {facts}。",
    "overflow_no": "どのセルでも溢れない。",
    "overflow_no_depth": "どのセルでも溢れない(バックログ {limit} に対して最大 {depth})。",
    "overflow_torn": "不明: {where} で計測器の結果が食い違う({sides})。",
    "overflow_unknown": "不明: {why}。",
    "given": "要求したとおりのレート。すべてさばき切ったオープンループでは比較にならない。",
    "too_few_blocks": "不明: 判定には完了したブロックが 6 つ必要。",
    "one_value": "{value}。{factor} の値は 1 つで、比べるものがない。",
    "one_value_unknown": "{factor} の値は 1 つで、比べるものがない。",
    "change": "{level}{at}では{change}{near}。",
    "change_in_unit": "{level}{at}では {before} → {after} {unit}、{change}{near}。",
    "more_effects": "{all} 件の比較のうち、ほかに {some} 件で差がある(悪化は {worse} 件)。",
    "equal_everywhere": "どの比較でも変化は {share} 未満。",
    "equal_together": (
        "{factors} をまとめて見れば変化は {share} 未満。個別に言えるのは {all} 件中 {some} 件で、残りでは最大 {width} の変化を否定できない。"
    ),
    "equal_in_together": (
        "{all} 件の比較のうち {some} 件で変化は {share} 未満(うち {together} 件は {factors} をまとめて見た場合のみ)。"
    ),
    "equal_in": "{all} 件の比較のうち {some} 件で変化は {share} 未満。",
    "not_decided": "{all} 件中 {some} 件は未判定(最大 {width} の変化を否定できない)。",
    "not_decided_one": "未判定(最大 {width} の変化を否定できない)。",
    "not_decided_few": "{all} 件中 {some} 件は未判定。",
    "loop": "{loop}ループでの値。",
    "loop_together": "{loop}ループで、ブロック内の測定をまとめた値。",
    "came": "リクエストは{how}到来した。",
    "errors_none": "なし。",
    "errors_some": "{where} でリクエストの {share}{kind}。",
    "errors_unknown": "不明: 有効な試行がない。",
    "retries_none": "ワーカースレッドのリトライはない。",
    "retries_none_asleep": "ワーカースレッドのリトライはない。Linux ではリトライせずスリープする。",
    "retries_some": "ワーカースレッドが {times}リトライした。待ち受けているプロセスがなかった。",
    "retries_unknown": "リトライの有無は不明: リトライの行を記録できるログがない。",
    "found_most": "目標の内で {factor} をどこまで上げられるか。",
    "found_least": "目標の内で {factor} をどこまで下げられるか。",
    "found_limit": "{place}{span}(95 %{doubt}、{facts})。",
    "required_met": "満たした: {what}({why})。",
    "required_all_met": "{number} 件の要求をすべて満たした。",
    "required_missed": "満たしていない: {where} で {what}({why})。",
    "required_undecided": "未判定(合格ではない): {where} で {what}({why})。",
    "required_counts": "全 {all} 件のうち、満たしていないもの {missed} 件、未判定 {undecided} 件、満たしたもの {met} 件。",
    "limit_hint": "示唆にとどまる: {facts}。",
    "limit_shown": "{where} で一つずつ抑えて確かめた: {parts}。",
    "limit_first": "{name}でスループットは {change} 変わる。",
    "limit_not_shown": "一つずつ抑える方法では示せない: {why}。",
    "limit_unknown": "不明: 観測した範囲で限界に達したものはない。",
    "mostly_disturbed": "大半が妨げられた({all}のうち {some}): この結果は信頼できない。",
    "noise_unknown": "ホスト上でほかに何が動いていたかは不明。",
    "noise_unknown_some": "{some}では、ホスト上でほかに何が動いていたか不明。",
    "wandered": "ホストの速度は {range} 変動したが、対比較で打ち消される。",
    "restless_too": "隣り合う同じ条件の測定どうしの差 {spread} は、打ち消されない。",
    "restless": "隣り合う同じ条件の測定どうしの差 {spread} は、対比較では打ち消されない。",
    "trials": "{number}。",
    "trials_disturbed": "{all}のうち {some} は妨げられ、再実行した。",
    "trials_failed": "{all}のうち {some} は無効{why}。",
    "kept_up_to": "{response}は {at}まで {bound} {below}に収まる({value})。",
    "kept_down_to": "{response}は {at}まで下げても {bound} {below}に収まる({value})。",
    "kept_everywhere": "{response}はすべての水準で {bound} {below}に収まる({at}でも {value})。",
    "passed_everywhere": "{response}はすべての水準で {bound} {beyond}になる({at}でも {value})。",
    "passed_at": "{at}では{beyond}になる({value})。",
    "kept_at": "{response}は {at}では {bound} {below}に収まり、{beyonds}では{beyond}になる。",
    "bound_open": "{at}では未判定{value}。",
    "bound_unknown": "不明: 完了したブロックが {blocks} つある水準がない。",
    "on_this_host": "このホスト、この時間帯での値。",
    "matters": "{factor}は影響する: {changes}。",
    "matters_not": "{factor}はここでは影響しない: どの水準でも{shares}の変化はない。",
    "matters_open": "{factor}が影響するかどうかは未判定。",
    "the_others": "{shares}の変化はない。",
    "still_open": "未判定: {responses}。",
    "served_up_to": "{at}までは要求をすべてさばいた。",
    "served_short": "{where} では要求の {share} しかさばけなかった。",
    "reload_lost": "{kind} のたびに失われるリクエスト{at}: {costs}。",
}

_FIELD = re.compile(r"\{(\w+)\}")


_LISTS = ((", but ", "、一方で"), ("; ", "、"), (", and ", "、"), (", ", "、"), (" or ", "または"), (" and ", "、"))
_NUMBERS = r"[-+\d,.]+(?:(?:, | and )[\d,.]+)*"
_NUMERIC = {"n", "low", "high", "ratio", "whole"}  # fields that hold nothing but numbers
_SHORT = 20  # characters of a form beside its fields: a field of so little reaches over no comma and no bracket


@lru_cache(maxsize=1)
def _forms() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Return a pattern of each form beside what it is in Japanese, the longest first: it says most."""

    def pattern(form: str) -> re.Pattern[str]:
        reaches = len(_FIELD.sub("", form)) >= _SHORT or form.lstrip().startswith("at ")
        # What comes behind a colon may be a list of clauses; else a clause ends where the next one begins.
        any_text = ".*?" if ": {" in form else r"(?:(?!; ).)*?" if reaches else r"(?:(?!, | \().)*?"
        parts = _FIELD.split(form)  # text, field, text, field, ...
        named = [re.escape(p) for p in parts]
        named[1::2] = (
            f"(?P<{p}>{_NUMBERS if p in _NUMERIC or behind.startswith(' %') else any_text})"
            for p, behind in zip(parts[1::2], parts[2::2], strict=True)
        )
        return re.compile("".join(named), re.DOTALL)

    ordered = sorted(PARTS, key=lambda form: -len(_FIELD.sub("", form)))
    return tuple((pattern(form), PARTS[form]) for form in ordered)


@lru_cache(maxsize=4096)
def said(text: str) -> str:
    """Return a value in Japanese; as it is where it has no known form."""
    whole = text.removesuffix(".")
    end = "。" if whole != text else ""
    for pattern, japanese in _forms():
        # A clause that stands as a sentence begins with a capital.
        found = pattern.fullmatch(whole) or pattern.fullmatch(whole[:1].lower() + whole[1:])
        if found is not None:
            return _filled(japanese, {k: said(v) for k, v in found.groupdict().items()}) + end
    for separator, japanese in _LISTS:
        for found in re.finditer(re.escape(separator), whole):
            first, rest = whole[: found.start()], whole[found.end() :]
            if _known(first) and _known(rest):
                return f"{said(first)}{japanese}{said(rest)}{end}"
    return whole + end


def _known(text: str) -> bool:
    """Say whether a text needs no translation or gets one."""
    return not re.search(r"[a-z]{2} [a-z]{2}", text) or said(text) != text


def _filled(template: str, values: Mapping[str, str]) -> str:
    return _FIELD.sub(lambda found: values[found[1]], template)


def sentence(template: str, values: Mapping[str, str]) -> str:
    """Return a sentence of a verdict."""
    return _filled(TEMPLATES[template], {name: said(value) for name, value in values.items()})
