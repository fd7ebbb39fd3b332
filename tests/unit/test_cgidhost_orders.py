"""What the host's helper is told, and what it makes of it: block files, load plans, read-back expectations."""

import ast
import json
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from cgidhost import blockfile, proof, readback
from cgidhost.drivers import DRIVERS, h2load
from cgidhost.ending import BlockError, TrialEnd
from cgidhost.instruments import INSTRUMENTS
from cgidhost.server import Places
from cgidhost.sut.cgid import mapped_module
from hypothesis import given
from hypothesis import strategies as st

from cgidlab.design import catalogue
from cgidlab.design.systems import PROXIED

PACKAGE = Path(readback.__file__).parent
CATALOGUE = catalogue.load(Path(__file__).parents[2] / "roles")


def trial_entry(**changes: object) -> dict[str, Any]:
    """Return one trial of a block file, with some of its settings changed."""
    settings: dict[str, object] = {
        **{name: CATALOGUE.options[name].default for name in CATALOGUE.of_roles("kernel")},
        "listen_backlog": 100,
        "mpm": "event",
        "workers": 400,
        "threads_per_child": 25,
        "tcp_backlog": 511,
        "extra_directives": "",
        "log_level": "warn cgid:debug",
        "keep_alive": True,
        "driver": "h2load",
        "loop": "closed",
        "clients": 50,
        "rate": 300,
        "driver_cpu_us": 0,
        "isolation": "namespaces",
        "cgid_nice": 0,
        "children": 32,
        "warmup_s": 1.0,
        "window_s": 2.5,
        "script": "hello",
    }
    settings.update(changes)
    return {
        "number": 7,
        "key": "k",
        "system": "cgi" if settings["mpm"] == "prefork" else "cgid",
        "settings": settings,
        "instruments": ["host", "listen_queue"],
        "directives": {"log_level": "LogLevel", "keep_alive": "KeepAlive"},
        "httpd_conf": "",
        "httpd_binary": "/x/httpd",
        "httpd_version": "2.4.68",
        "module": "/x/mod_cgid.so",
        "module_sha256": "ab",
    }


def block(trial: dict[str, Any], **changes: object) -> dict[str, Any]:
    """Return a block file of one trial."""
    base = {
        "schema_version": 2,
        "block": 1,
        "work_dir": "/var/tmp/x",  # noqa: S108 -- a name that is only read
        "server_user": "nobody",
        "control": None,
        "lease_s": 30,
        "tools": {},
        "trials": [trial],
    }
    return {**base, **changes}


def order(**changes: object) -> blockfile.TrialOrder:
    return blockfile.parse(block(trial_entry(**changes))).trials[0]


@pytest.mark.parametrize(
    ("change", "want"),
    [
        pytest.param({"schema_version": 3}, "schema_version is 3", id="a later schema"),
        pytest.param({"work_dir": "var"}, "not an absolute path", id="a relative work directory"),
        pytest.param({"trials": [trial_entry(isolation="vm")]}, "isolation", id="an unknown isolation"),
        pytest.param({"trials": [trial_entry(), trial_entry()]}, "same number", id="a number twice"),
        pytest.param({"tools": {"ab": {"path": "/x"}}}, "not a string", id="a tool that is no path"),
        pytest.param({"trials": [{"number": 1}]}, "settings is missing", id="a key left out"),
        pytest.param(
            {"trials": [{**trial_entry(), "fault": {"action": "kill_cgid", "at_s": 2.5, "for_s": 0}}]},
            "outside the window",
            id="a fault after the window",
        ),
        pytest.param(
            {"trials": [{**trial_entry(), "fault": {"action": "melt", "at_s": 1, "for_s": 0}}]},
            "melt is none of",
            id="an unknown fault",
        ),
        pytest.param(
            {"trials": [{**trial_entry(), "instruments": ["host", "nothing"]}]},
            f"no instrument is called nothing: there are {', '.join(sorted(INSTRUMENTS))}",
            id="an unknown instrument",
        ),
        pytest.param(
            {"trials": [trial_entry(driver="nothing")]},
            f"no driver is called nothing: there are {', '.join(sorted(DRIVERS))}",
            id="an unknown driver",
        ),
        pytest.param(
            {"trials": [{**trial_entry(), "system": "fpm"}]},
            "no system is called fpm: there are cgi, cgid, fcgid, fcgiwrap, gunicorn, php_fpm, uwsgi",
            id="an unknown system",
        ),
        pytest.param(
            {"trials": [{**trial_entry(), "directives": {"gone": "Gone"}}]},
            "setting gone",
            id="a directive of no setting",
        ),
    ],
)
def test_a_wrong_block_file_is_refused_with_what_is_wrong(tmp_path: Path, change: dict[str, Any], want: str) -> None:
    path = tmp_path / "block.json"
    path.write_text(json.dumps(block(trial_entry(), **change)))

    with pytest.raises(BlockError, match=want):
        blockfile.read(str(path))


def test_a_block_file_that_is_no_json_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "block.json"
    path.write_text("{")

    with pytest.raises(BlockError, match=r"block\.json"):
        blockfile.read(str(path))


@given(st.integers(min_value=1, max_value=2_000).map(lambda tens: 10 * tens))
def test_a_rate_is_kept_exactly_in_short_periods(rate: int) -> None:
    each, period_ms = h2load.rate_steps(rate)

    assert Fraction(each, period_ms) == Fraction(rate, 1000)
    assert h2load.SHORTEST_PERIOD_MS <= period_ms <= h2load.LONGEST_PERIOD_MS


def test_a_rate_that_would_come_in_bursts_is_refused() -> None:
    with pytest.raises(TrialEnd, match="333"):
        h2load.rate_steps(333)


def test_an_open_loop_sends_the_rates_requests_over_warm_up_and_window_one_a_connection() -> None:
    plan = DRIVERS["h2load"].plan(
        order(loop="open", rate=300), "/usr/bin/h2load", "/t/rows.log", "http://127.0.0.1:8080"
    )

    joined = " ".join(plan.argv)
    assert "-r 3 --rate-period=10ms -n 1050 -c 1050" in joined
    assert "-D" not in plan.argv
    assert plan.late_answers_are_fine
    assert plan.limit_s > 3.5


def test_a_closed_loops_durations_are_whole_milliseconds() -> None:
    plan = DRIVERS["h2load"].plan(order(warmup_s=0.5, window_s=2.5), "h2load", "/t/rows.log", "http://127.0.0.1:8081")

    joined = " ".join(plan.argv)
    assert "-c 50 -D 2500ms --warm-up-time=500ms http://127.0.0.1:8081/cgi-bin/hello" in joined
    assert plan.begin_mark is not None


def test_ab_runs_longer_than_a_window_that_waits_for_a_whole_second() -> None:
    plan = DRIVERS["ab"].plan(order(driver="ab"), "ab", "/t/rows.log", "http://127.0.0.1:8080")

    total_s = int(plan.argv[plan.argv.index("-t") + 1])
    assert total_s >= 1.0 + 1.0 + 2.5
    assert plan.argv.index("-t") < plan.argv.index("-n"), "ab's -t sets -n to 50000 where it comes later"
    assert plan.limit_s > total_s


def test_steadys_open_loop_follows_a_schedule_that_is_kept_with_its_seed(tmp_path: Path) -> None:
    told = {"kind": "bursts", "rate": 200, "burst_requests": 50, "rate_from": 1, "stages": [], "seed": "7:1:2"}
    entry = {**trial_entry(driver="steady", loop="open", window_s=2.0), "arrivals": told}

    plan = DRIVERS["steady"].plan(
        blockfile.parse(block(entry)).trials[0], "/s", str(tmp_path / "rows.log"), "http://127.0.0.1:8080"
    )

    note, *due = (tmp_path / "due.log").read_text().splitlines()
    assert "seed='7:1:2'" in note
    assert plan.argv[1:4] == ["--schedule", str(tmp_path / "due.log"), str(tmp_path / "sent.log")]
    assert sum(1_000_000 <= int(at) < 3_000_000 for at in due) == 400
    assert plan.late_answers_are_fine
    assert plan.limit_s > float(plan.argv[4]) > 3.2, "it ends by itself"


@pytest.mark.parametrize(("uses_us", "want"), [(0, ["/s", "50"]), (5000, ["/s", "--uses", "5000", "50"])])
def test_steady_is_told_what_cpu_it_uses_besides(uses_us: int, want: list[str]) -> None:
    asked = order(driver="steady", driver_cpu_us=uses_us)

    plan = DRIVERS["steady"].plan(asked, "/s", "/t/rows.log", "http://127.0.0.1:8080")

    assert plan.argv[: len(want)] == want


def test_steady_refuses_an_open_loop_of_which_nothing_was_said() -> None:
    with pytest.raises(TrialEnd, match="not told when requests are due"):
        DRIVERS["steady"].plan(order(driver="steady", loop="open"), "/s", "/t/rows.log", "http://127.0.0.1:8080")


def test_ab_refuses_an_open_loop() -> None:
    with pytest.raises(TrialEnd, match="h2load"):
        DRIVERS["ab"].plan(order(driver="ab", loop="open"), "ab", "/t/rows.log", "http://127.0.0.1:8080")


def test_wrk_outlasts_the_window_and_logs_through_its_script(tmp_path: Path) -> None:
    rows = tmp_path / "rows.log"

    plan = DRIVERS["wrk"].plan(order(driver="wrk"), "wrk", str(rows), "http://127.0.0.1:8080")

    assert plan.begin_mark is None
    assert int(plan.argv[plan.argv.index("-d") + 1].removesuffix("s")) > plan.warmup_s + plan.window_s
    assert plan.argv[-3:] == ["http://127.0.0.1:8080/cgi-bin/hello", "--", str(rows)]
    assert "function response(status)" in Path(plan.argv[plan.argv.index("-s") + 1]).read_text()


def test_wrk_refuses_an_open_loop() -> None:
    with pytest.raises(TrialEnd, match="h2load"):
        DRIVERS["wrk"].plan(order(driver="wrk", loop="open"), "wrk", "/t/rows.log", "http://127.0.0.1:8080")


def wanted(ordered: blockfile.TrialOrder) -> dict[str, str | None]:
    """Return what the read-back must find, by the check's name."""
    return {one.name: one.want(ordered) for one in readback.proofs_of(ordered)}


@pytest.mark.parametrize(
    ("backlog", "somaxconn", "want"), [(100, 4096, "100"), (4096, 128, "128"), (1, 1, "1")], ids=str
)
def test_the_queue_limit_to_find_is_the_smaller_of_backlog_and_somaxconn(
    backlog: int, somaxconn: int, want: str
) -> None:
    assert wanted(order(listen_backlog=backlog, somaxconn=somaxconn))["queue_limit"] == want


def test_prefork_has_no_queue_to_check() -> None:
    assert "queue_limit" not in wanted(order(mpm="prefork"))
    assert wanted(order(mpm="prefork"))["threads_per_child"] is None


@pytest.mark.parametrize("system", PROXIED)
def test_a_system_behind_mod_proxy_has_its_queue_and_its_processes_checked_and_no_module(system: str) -> None:
    entry = {**trial_entry(listen_backlog=7, children=3), "system": system, "system_files": {"a.conf": "x"}}
    ordered = blockfile.parse(block(entry)).trials[0]

    checks = wanted(ordered)
    assert (checks["handler"], checks["queue_limit"], checks["children"]) == (system, "7", "3")
    assert not {"module_sha256", "cgid_nice"} & checks.keys()
    assert ordered.system_files == {"a.conf": "x"}


@pytest.mark.parametrize(
    ("system", "want"),
    [
        ("php_fpm", {"--no-php-ini", "/t/system/php-fpm.conf"}),
        ("gunicorn", {"--config", "/t/system/gunicorn.conf.py"}),
        ("fcgiwrap", {"-c", "3"}),
        ("uwsgi", {"--ini", "/t/system/uwsgi.ini"}),
    ],
)
def test_no_configuration_of_the_host_is_read_by_what_stands_behind_mod_proxy(system: str, want: set[str]) -> None:
    entry = {**trial_entry(listen_backlog=7, children=3), "system": system, "system_files": {}}
    ordered = blockfile.parse(block(entry)).trials[0]

    told = ordered.system.arguments(ordered, Places("/t", "/run/s"))

    assert want <= set(told)
    assert all(word.startswith("/t/system/") for word in told if "/" in word)


@pytest.mark.parametrize("name", ["../httpd.conf", "a/b", "..", ""])
def test_a_file_of_a_system_stays_in_its_directory(name: str) -> None:
    with pytest.raises(ValueError, match="is no name of a file"):
        blockfile.parse(block({**trial_entry(), "system_files": {name: "x"}}))


def test_a_mismatch_says_what_was_wanted_and_what_was_found() -> None:
    checks = [proof.ProofMade("workers", "410", "400"), proof.ProofMade("mpm", "event", "event")]

    assert readback.mismatch(checks) == "workers: want 410, found 400"
    assert readback.document(checks)["ok"] is False


SERVER_INFO = """<dl><dt><strong>Configuration:</strong>
<dd><tt><strong>In file: /t/httpd.conf</strong></tt></dd>
<dd><tt>&nbsp;&nbsp;24:&nbsp;KeepAlive <i>On</i></tt></dd>
<dd><tt>&nbsp;&nbsp;25:&nbsp;LogLevel <i>warn cgid:debug</i></tt></dd>
<dd><tt>&nbsp;&nbsp;26:&nbsp;ErrorLog <i>&quot;/t/LogLevel&quot;</i></tt></dd>
<dd><tt>&nbsp;&nbsp;30:&nbsp;&lt;Location &quot;/a&amp;b&quot;&gt;</tt></dd>
<dd><tt>&nbsp;&nbsp;31:&nbsp;&nbsp;&nbsp;LogLevel <i>trace1</i></tt></dd>
<dd><tt>:&nbsp;&lt;/Location&gt;</tt></dd><dd><tt>&nbsp;&nbsp;97:&nbsp;LogLevel <i>debug</i></tt></dd>
<dd><tt>&nbsp;&nbsp;98:&nbsp;keepalive <i>off</i></tt></dd>"""  # httpd 2.4.68, shortened


def test_a_directive_is_what_the_whole_servers_last_one_says_whatever_sections_say() -> None:
    directives = proof.directives_in(SERVER_INFO)

    assert proof.in_force("LogLevel", directives) == "debug"
    assert proof.in_force("KeepAlive", directives) == "Off"
    assert proof.in_force("ErrorLog", directives) == '"/t/LogLevel"'
    assert proof.in_force("Timeout", directives) == "not set"
    assert proof.Directive("LogLevel", "trace1", inside=True) in directives
    assert proof.directives_in("<dd>&nbsp; Timeout <i>60</i></dd>") == (proof.Directive("Timeout", "60", inside=False),)


def test_every_directive_of_the_order_is_wanted_as_httpd_conf_has_it() -> None:
    assert wanted(order(keep_alive=False)).items() >= {"keep_alive": "Off", "log_level": "warn cgid:debug"}.items()


@pytest.mark.parametrize(
    ("text", "want"),
    [
        pytest.param("", [], id="none"),
        pytest.param("  SetEnv  A   b \\\n  c\n# SetEnv D e\n", ["SetEnv A b c"], id="spaces and a continued line"),
        pytest.param("LoadModule x y\nDefine A\nPassEnv ${A}\nPassEnv B", ["PassEnv B"], id="obeyed at once"),
        pytest.param("<IfModule a>\n<If b>\nX y\n</If>\n</IfModule>\nZ", ["Z"], id="a condition"),
        pytest.param("<Location /x>\nSetEnv A\n</Location>", ["<Location /x>", "SetEnv A"], id="a section"),
    ],
)
def test_extra_directives_are_those_that_httpds_page_shows_for_certain(text: str, want: list[str]) -> None:
    assert list(readback.extra_directives(text)) == want


MAPS = """7f1-7f2 r-xp 00000000 fe:00 12 /x/modules/mod_cgid.so
7f2-7f3 r--p 00000000 fe:00 12 /x/modules/mod_cgid.so
7f3-7f4 r-xp 00000000 fe:00 13 /x/modules/mod_alias.so
7f4-7f5 rw-p 00000000 00:00 0
"""


def test_the_module_that_is_mapped_is_found_whatever_was_ordered() -> None:
    assert mapped_module(MAPS, "/y/mod_cgid.so") == "/x/modules/mod_cgid.so"
    assert mapped_module(MAPS.replace("mod_cgid", "mod_env"), "/y/mod_cgid.so") is None


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_every_module_is_python_3_9_and_imports_the_standard_library_alone(path: Path) -> None:
    tree = ast.parse(path.read_text(), feature_version=(3, 9))

    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [a.name for a in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom) and node.level == 0
            else []
        )
    }
    packed = {"prometheus_client"} if path.name == "exporter.py" else set()  # it travels in the same file: ADR 0015
    assert imported <= {*sys.stdlib_module_names, "cgidhost", *packed}


@pytest.mark.parametrize(
    ("settings", "want"),
    [
        ({"script": "hello"}, "/cgi-bin/hello"),
        ({"script": "sleep", "sleep_ms": 20}, "/cgi-bin/sleep?20"),
        ({"script": "burn", "burn_ms": 5}, "/cgi-bin/burn?5"),
        ({"script": "bytes", "size_bytes": 1000}, "/cgi-bin/bytes?1000"),
    ],
    ids=str,
)
def test_a_script_is_told_in_the_query_how_long_or_how_much(settings: dict[str, object], want: str) -> None:
    assert order(**settings).url_path == want
