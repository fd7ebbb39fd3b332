"""The JSON documents of a trial: real ones, and each way to be wrong."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgidlab.errors import StoreError
from cgidlab.model import Status
from cgidlab.parsers import documents, versions

DATA = Path(__file__).parent.parent / "data" / "trial"
Edit = Callable[[dict[str, Any]], object]
PARSERS: dict[str, Callable[..., object]] = {
    "result.json": documents.parse_result,
    "host.json": documents.parse_host_edges,
    "trial.json": documents.parse_trial,
}
TRIAL = {"schema_version": 1, "key": "k", "settings": {"clients": 50, "loop": "closed"}}


def document(name: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(json.dumps(TRIAL) if name == "trial.json" else (DATA / name).read_bytes())
    return value


def parse(name: str, value: object) -> object:
    return PARSERS[name](json.dumps(value).encode(), where=f"/run/{name}")


def test_a_real_result_is_read() -> None:
    result = documents.parse_result((DATA / "result.json").read_bytes(), where="x")

    raw = document("result.json")
    assert result.ended is Status.COMPLETE
    assert result.window is not None
    assert result.window.length_s == pytest.approx(3.0, abs=0.01)
    assert result.server is not None
    assert result.server.version.startswith("Apache/2.4.68")
    assert result.instruments["listen_queue"].state == "ran"
    assert {p.name for p in result.phases} >= {"namespaces", "start", "readback", "warmup", "window"}
    moved = result.clock.to_realtime_ns(result.window.begin_ns) - raw["clock"]["realtime_ns"]
    assert moved == raw["window"]["begin_ns"] - raw["clock"]["monotonic_ns"]


def test_a_trial_that_ended_early_has_no_window_server_or_load() -> None:
    raw = document("result.json") | {"server": {}, "load": {}, "ended": "failed", "kind": "sut", "reason": "no start"}
    del raw["window"]

    result = documents.parse_result(json.dumps(raw).encode(), where="x")

    assert (result.window, result.server, result.load) == (None, None, None)


def test_a_host_without_a_limit_on_open_files_is_read() -> None:
    raw = document("host.json")
    for moment in ("begin", "end"):
        raw[moment]["file_max"] = 2**63 - 1  # Linux's own default

    documents.parse_host_edges(json.dumps(raw).encode(), where="x")


def test_what_the_host_could_not_say_has_no_rise() -> None:
    raw = document("host.json")
    raw["begin"]["listen_overflows"], raw["end"]["listen_overflows"], raw["end"]["pswpin"] = 3, 10, None

    edges = documents.parse_host_edges(json.dumps(raw).encode(), where="x")

    assert (edges.rise("listen_overflows"), edges.rise("pswpin"), edges.rise("unheard_of")) == (7, None, None)


WRONG: list[tuple[str, str, Edit]] = [
    ("result.json", "window.end_ns", lambda d: d["window"].pop("end_ns")),
    ("result.json", "window", lambda d: d["window"].update(end_ns=0)),
    ("result.json", "clock.realtime_ns", lambda d: d["clock"].update(realtime_ns="1")),
    ("result.json", "ended", lambda d: d.update(ended="done")),
    ("result.json", "kind", lambda d: d.update(kind="bad luck")),
    ("result.json", "phases\\[0\\].name", lambda d: d["phases"][0].pop("name")),
    ("result.json", "phases", lambda d: d.update(phases={})),
    ("result.json", "load.argv\\[0\\]", lambda d: d["load"].update(argv=[1])),
    ("result.json", "load.timed_out", lambda d: d["load"].update(timed_out=0)),
    ("result.json", "instruments.host.state", lambda d: d["instruments"]["host"].update(state="on")),
    ("host.json", "begin.pswpin", lambda d: d["begin"].update(pswpin="0")),
    ("trial.json", "settings.clients", lambda d: d["settings"].update(clients=[50])),
    ("trial.json", "settings", lambda d: d.update(settings=None)),
]


@pytest.mark.parametrize(("name", "field", "edit"), WRONG, ids=[f"{n}-{f}" for n, f, _ in WRONG])
def test_a_wrong_field_is_named_with_its_file(name: str, field: str, edit: Edit) -> None:
    value = document(name)
    edit(value)

    with pytest.raises(StoreError, match=f"^error: {field} ") as caught:
        parse(name, value)
    assert caught.value.where == f"/run/{name}"


@pytest.mark.parametrize("name", PARSERS)
def test_a_document_of_a_newer_program_is_refused(name: str) -> None:
    newer = versions.CURRENT[name] + 1
    with pytest.raises(StoreError, match=f"schema_version is {newer}"):
        parse(name, document(name) | {"schema_version": newer})


@pytest.mark.parametrize("name", PARSERS)
@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000], ids=range(6))
def test_what_is_no_document_is_refused(name: str, text: bytes) -> None:
    with pytest.raises(StoreError) as caught:
        PARSERS[name](text, where="here")
    assert caught.value.where == "here"


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize("name", PARSERS)
@given(st.data())
def test_any_other_value_in_any_field_is_read_or_refused(name: str, data: st.DataObject) -> None:
    value = document(name)
    inner = value
    while True:
        key = data.draw(st.sampled_from(sorted(inner)))
        if not (isinstance(inner[key], dict) and inner[key] and data.draw(st.booleans())):
            break
        inner = inner[key]
    inner[key] = data.draw(anything)
    try:
        parse(name, value)
    except StoreError as err:
        assert err.where == f"/run/{name}"  # noqa: PT017 -- not raising is fine as well
