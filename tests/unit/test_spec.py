"""Every wrong word of an experiment file gets one error that names file, line and key."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from cgidlab import calibrate
from cgidlab.design import catalogue, spec, strict_yaml
from cgidlab.engine import observe_order, observing
from cgidlab.errors import SpecError
from cgidlab.model import Experiment, Repetitions

CATALOGUE = catalogue.load(Path(__file__).parents[2] / "roles")
GOOD = """\
schema_version: 1
name: sweep
question: Does it?
factors:
  listen_backlog: [1, 100]
  clients: [50, 200]
settings:
  workers: 400
load: {loop: closed}
window_s: 5.0
repetitions: 6
"""


def build(
    text: str, overrides: Sequence[tuple[str, str]] = (), only: Sequence[tuple[str, tuple[str, ...]]] = ()
) -> Experiment:
    return spec.build(strict_yaml.parse(text.encode(), "x.yml"), CATALOGUE, overrides=overrides, only=only)


def test_a_good_file_becomes_an_experiment() -> None:
    got = build(GOOD)

    assert [f.name for f in got.factors] == ["listen_backlog", "clients"]
    assert got.settings["window_s"] == 5.0
    assert got.repetitions == Repetitions(6, 6)
    assert (got.rule.factor, got.rule.reference) == ("listen_backlog", "100")
    assert {e.response: e.share for e in got.rule.smallest_effects} == {"throughput_rps": 0.05, "latency_p99_ms": 0.2}


@pytest.mark.parametrize(
    ("old", "new", "line", "key", "fix"),
    [
        ("listen_backlog: [1", "listen_backlogs: [1", 5, "factors.listen_backlogs", "`listen_backlog`"),
        ("window_s:", "windows_s:", 10, "windows_s", "`window_s`"),
        ("[1, 100]", "[1, x]", 5, "factors.listen_backlog.1", "cgid_listen_backlog"),
        ("[1, 100]", "[1, true]", 5, "factors.listen_backlog.1", ""),
        ("[1, 100]", "[1, 1.5]", 5, "factors.listen_backlog.1", ""),
        ("[1, 100]", "[]", 5, "factors.listen_backlog", "at least one"),
        ("[1, 100]", "[1, 1]", 5, "factors.listen_backlog.1", "label"),
        ("[1, 100]", "[0, 1]", 5, "factors.listen_backlog.0", ""),
        ("clients: [50, 200]", "count: [1]", 6, "factors.count", "role's option"),
        ("clients: [50, 200]", "mean: [1]", 6, "factors.mean", ""),
        ("clients: [50, 200]", "host: [true]", 6, "factors.host", ""),
        ("clients: [50, 200]", "workers: [50]", 6, "factors.workers", "keep one"),
        ("workers: 400", "worker: 400", 8, "settings.worker", "`workers`"),
        ("workers: 400", "mpm: evnt", 8, "settings.mpm", "`event`"),
        ("workers: 400", "window_s: 4.0", 10, "window_s", "keep one"),
        ("workers: 400", "log_level: warn; reboot", 8, "settings.log_level", "warn cgid:debug"),
        ("workers: 400", "httpd: ../x", 8, "settings.httpd", "path:"),
        ("workers: 400", 'extra_directives: "a\\0b"', 8, "settings.extra_directives", "remove"),
        ("loop: closed", "loop: shut", 9, "load.loop", ""),
        ("loop: closed", "lop: closed", 9, "load.lop", "`loop`"),
        ("repetitions: 6", "repetitions: 0", 11, "repetitions", ""),
        ("repetitions: 6", "repetitions: {min: 6, max: 2}", 11, "repetitions.max", "raise max"),
        ("repetitions: 6", "repetitions: 6\nexclude: [{clients: 51}]", 12, "exclude.0.clients", "`50`"),
        ("repetitions: 6", "repetitions: 6\nexclude: [{}]", 12, "exclude.0", "remove"),
        ("repetitions: 6", "repetitions: 6\ninstruments: [listn_queue]", 12, "instruments.0", "`listen_queue`"),
        ("repetitions: 6", "repetitions: 6\nverdict: {factor: client}", 12, "verdict.factor", "`clients`"),
        ("repetitions: 6", "repetitions: 6\nverdict: {reference: 7}", 12, "verdict.reference", ""),
        (
            "repetitions: 6",
            "repetitions: 6\nverdict: {smallest_effects: {throughput: 5%}}",
            12,
            "verdict.smallest_effects.throughput",
            "`throughput_rps`",
        ),
        ("name: sweep", "name: ../sweep", 2, "name", "a-z"),
        ("name: sweep", "name: 5", 2, "name", ""),
        ("question: Does it?\n", "", 1, "question", "add `question:`"),
        ("schema_version: 1", "schema_version: 2", 1, "schema_version", ""),
    ],
)
def test_a_wrong_file_is_refused_at_its_line(old: str, new: str, line: int, key: str, fix: str) -> None:
    assert old in GOOD

    with pytest.raises(SpecError) as caught:
        build(GOOD.replace(old, new))

    assert caught.value.where == f"x.yml, line {line}, {key}"
    assert fix in caught.value.fix
    assert caught.value.exit_code == 2


def test_an_instrument_that_any_trial_turns_on_is_one_of_the_run() -> None:
    """Else the program it needs would not be installed for the trials that are about it."""
    assert "strace" not in build(GOOD).instruments
    assert "strace" in build(GOOD.replace("clients: [50, 200]", "strace: [false, true]")).instruments
    only = build(GOOD.replace("clients: [50, 200]", "connect_times: [false]")).instruments
    assert "connect_times" not in only


def test_an_over_large_design_is_refused() -> None:
    many = ", ".join(str(n) for n in range(1, 1001))

    with pytest.raises(SpecError, match="1000000 cells"):
        build(GOOD.replace("[1, 100]", f"[{many}]").replace("[50, 200]", f"[{many}]"))


def test_two_levels_may_share_a_value_under_different_labels() -> None:
    got = build(GOOD.replace("[1, 100]", '[1, 100, {label: "100 again", value: 100}]'))

    assert [(lv.label, lv.value) for lv in got.factors[0].levels] == [("1", 1), ("100", 100), ("100 again", 100)]


def test_the_command_line_is_checked_like_the_file() -> None:
    assert build(GOOD, overrides=[("workers", "200")]).settings["workers"] == 200
    for overrides in ([("wrkers", "1")], [("workers", "many")], [("clients", "5")], [("workers", "0")]):
        with pytest.raises(SpecError):
            build(GOOD, overrides=overrides)


def test_only_keeps_the_named_levels_and_never_drops_the_reference() -> None:
    got = build(GOOD, only=[("clients", ("200",))])

    assert [lv.label for lv in got.factors[1].levels] == ["200"]
    for only in ([("clients", ("7",))], [("client", ("50",))], [("listen_backlog", ("1",))]):
        with pytest.raises(SpecError):
            build(GOOD, only=only)


def test_the_options_default_is_the_reference_wherever_it_stands() -> None:
    got = build(GOOD.replace("listen_backlog: [1, 100]\n  clients: [50, 200]", "strace: [true, false]"))

    assert got.rule.reference == "false"


@pytest.mark.parametrize("name", ["cflags", "compiler", "mirror", "refresh"])
def test_what_steers_provisioning_is_no_factor(name: str) -> None:
    with pytest.raises(SpecError, match="no role has an option"):
        build(GOOD.replace("listen_backlog: [1, 100]", f"{name}: [a, b]"))


@pytest.mark.parametrize(
    ("new", "want"),
    [("repetitions: {min: 6}", "`max` is missing"), ("repetitions: {min: 0, max: 6}", "`min`")],
)
def test_a_wrong_range_of_repetitions_names_its_key(new: str, want: str) -> None:
    with pytest.raises(SpecError, match=want):
        build(GOOD.replace("repetitions: 6", new))


@pytest.mark.parametrize("name", ["latest", calibrate.NAME, observe_order.NAME, observing.LISTENERS])
def test_an_experiment_is_not_called_as_a_directory_of_our_own_below_results(name: str) -> None:
    with pytest.raises(SpecError, match="of cgidlab's own below results/") as caught:
        build(GOOD.replace("name: sweep", f"name: {name}"))

    assert "x.yml, line 2" in caught.value.where
