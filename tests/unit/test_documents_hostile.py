"""JSON has traps that no document needs: each is an error that names the file, before anything is made of it."""

import json

import pytest

from cgidlab.errors import StoreError
from cgidlab.parsers import document
from cgidlab.parsers.run_documents import OF_A_RUN

BAD: dict[str, bytes] = {
    "twice": b'{"schema_version": 1, "state": "running", "state": "finished"}',
    "twice below": b'{"a": [{"b": 1, "b": 2}]}',
    "NaN": b'{"a": NaN}',
    "Infinity": b'{"a": -Infinity}',
    "too large": b'{"a": 1e999}',
    "10^400": b'{"a": 1' + b"0" * 400 + b"}",
    "half a character": b'{"a": "\\ud800"}',
    "half a character as a key": b'{"\\udc00": 1}',
    "deep lists": b'{"a": ' + b"[" * 100_000,
    "deep objects": b'{"a":' * 100_000,
    "deep and closed": b'{"a": ' + b"[" * 40 + b"]" * 40 + b"}",
    "many lists": b'{"a": [' + b"[]," * 600_000 + b"[]]}",
    "no UTF-8": b'{"a": "\xff"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "a list": b"[]",
    "nothing": b"",
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_what_no_document_needs_is_refused(data: bytes) -> None:
    with pytest.raises(StoreError) as refused:
        document.plain(data, where="here")
    assert refused.value.where == "here"


def test_what_looks_like_it_and_is_not_is_read() -> None:
    brackets = json.dumps({"a": "[" * 1000, "b": "\\ud800", "c": "\N{PILE OF POO}", "d": [[1.5, -3, True, None]]})

    assert document.plain(brackets.encode(), where="x") == json.loads(brackets)


@pytest.mark.parametrize(
    ("changed", "want"),
    [
        ({"pid": "7"}, "pid is not a whole number"),
        ({"pid": 7.0}, "pid is not a whole number"),
        ({"pid": True}, "pid is not a whole number"),
        ({"pid": -7}, "pid is -7: should be greater than or equal to 1"),
        ({"pid": 2**64}, "pid is 18446744073709551616: should be less"),
        ({"estimated_s": "1"}, "estimated_s is not a number"),
        ({"state": "asleep"}, "state is 'asleep'"),
        ({"budget": {"budget_s": 1.0}}, "budget.blocks is missing"),
        ({"budget": []}, "budget is not an object"),
        ({"lost": [{"host": 1, "block": 1, "why": ""}]}, r"lost\[0\].host is not text"),
        ({"lost": {}}, "lost is not a list"),
        ({"schema_version": 9}, "schema_version is 9"),
    ],
)
def test_an_error_names_the_field_and_what_is_wrong_with_it(changed: dict[str, object], want: str) -> None:
    whole = {"schema_version": 1, "state": "running", "pid": 7}

    with pytest.raises(StoreError, match=f"^error: {want}"):
        OF_A_RUN["state.json"].parse(json.dumps({**whole, **changed}).encode(), where="state.json")


def test_a_setting_that_is_no_single_value_is_one_complaint() -> None:
    plan = {"settings": {"clients": [5]}, "schema_version": 2}

    with pytest.raises(StoreError) as refused:
        OF_A_RUN["plan.json"].parse(json.dumps({**plan, **_rest()}).encode(), where="plan.json")

    assert refused.value.what == "settings.clients is not a single value"


def _rest() -> dict[str, object]:
    return {
        "kind": "experiment",
        "experiment": "x",
        "question": "?",
        "target": "local",
        "seed": 1,
        "repetitions": {"min": 1, "max": 1},
        "instruments": [],
        "exclude": [],
        "factors": {"a": [{"label": "1", "value": 1}]},
        "rule": {"factor": "a", "reference": "1", "smallest_effects": {}},
        "noise": {"max_outsider_cpu": None, "max_steal_share": None, "reruns": 0},
        "cells": [],
    }
