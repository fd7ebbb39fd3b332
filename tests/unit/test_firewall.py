"""Letting generators through a host's firewall, and closing it again."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from cgidhost import firewall, process, undo
from cgidhost.ending import TrialEnd

SOURCES = ("192.0.2.11", "192.0.2.12")
RULESET = {
    "nftables": [
        {"metainfo": {"version": "1.0.6"}},
        {"table": {"family": "inet", "name": "guard", "handle": 1}},
        {"chain": {"family": "inet", "table": "guard", "name": "in", "hook": "input", "type": "filter", "prio": 0}},
        {"chain": {"family": "inet", "table": "guard", "name": "out", "hook": "output", "type": "filter", "prio": 0}},
        {"chain": {"family": "inet", "table": "guard", "name": "called by others"}},
        {"chain": {"family": "ip6", "table": "t", "name": "in", "hook": "input", "type": "filter", "prio": 0}},
        {"chain": {"family": "ip", "table": "t", "name": "in", "hook": "input", "type": "filter", "prio": 0}},
    ]
}
# What firewall-cmd was asked, and a state of its own: the rules it was told to add and not to remove.
FIREWALL_CMD = """#!/bin/sh
echo "$@" >>{log}
case "$*" in
  --state) echo running ;;
  --get-zone-of-interface=*) echo trusted-lan ;;
  --get-default-zone) echo public ;;
  *--add-rich-rule=*) [ ! -e {refuses} ] || {{ echo "Error: INVALID_RULE" >&2; exit 122; }}; echo "$2" >>{rules} ;;
  *--query-rich-rule=*) grep -qF "${{2#--query-rich-rule=}}" {rules} ;;
  *--remove-rich-rule=*) grep -vF "${{2#--remove-rich-rule=}}" {rules} >{rules}.new; mv {rules}.new {rules} ;;
esac
"""


def test_only_chains_that_filter_what_comes_in_over_ipv4_are_opened() -> None:
    assert firewall.input_chains(json.dumps(RULESET)) == ["inet guard in", "ip t in"]


def test_own_rules_are_found_by_their_comment() -> None:
    rules = [{"rule": {"handle": 4, "comment": "cgidlab port 8080"}}, {"rule": {"handle": 5}}]

    assert firewall.handles(json.dumps({"nftables": rules}), "cgidlab port 8080") == [4]


@pytest.fixture
def firewalld(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a program that answers as firewalld's does in front of the path; return its directory."""
    names = {name: str(tmp_path / name) for name in ("log", "rules", "refuses")}
    program = tmp_path / "firewall-cmd"
    program.write_text(FIREWALL_CMD.format(**names))
    program.chmod(0o755)
    (tmp_path / "rules").touch()
    monkeypatch.setitem(process.ENVIRONMENT, "PATH", f"{tmp_path}:{process.ENVIRONMENT['PATH']}")
    return tmp_path


def _let_in(work_dir: Path) -> None:
    firewall.let_in(SOURCES, "127.0.0.1", 8080, lambda **change: undo.note(str(work_dir), **change))


def test_firewalld_is_opened_for_each_generator_in_the_zone_of_the_address_and_closed_again(
    firewalld: Path, tmp_path: Path
) -> None:
    _let_in(tmp_path)

    rules = (firewalld / "rules").read_text()
    assert [rules.count(f'address="{source}" port port="8080" protocol="tcp" accept') for source in SOURCES] == [1, 1]
    assert "--zone=trusted-lan" in (firewalld / "log").read_text()
    assert undo.undo(str(tmp_path)) == []
    assert (firewalld / "rules").read_text() == ""
    assert "--permanent" not in (firewalld / "log").read_text()


def test_a_rule_that_firewalld_refuses_ends_the_trial_in_its_words_and_leaves_nothing_to_undo(
    firewalld: Path, tmp_path: Path
) -> None:
    (firewalld / "refuses").touch()

    with pytest.raises(TrialEnd, match="INVALID_RULE") as caught:
        _let_in(tmp_path)

    assert caught.value.kind == "infra"
    assert undo.undo(str(tmp_path)) == []


def test_a_host_without_a_firewall_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(process.ENVIRONMENT, "PATH", str(tmp_path))

    _let_in(tmp_path)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.needs_root
def test_a_real_nftables_has_the_rules_while_the_trial_runs_and_none_of_them_after(tmp_path: Path) -> None:
    if shutil.which("nft", path=process.ENVIRONMENT["PATH"]) is None:
        pytest.skip("nft is not installed: make test-tools")
    guard = "table inet guard { chain input { type filter hook input priority 0; policy drop; iif lo accept; }; }"
    code = (
        "import subprocess, sys\n"
        "from cgidhost import firewall, undo\n"
        "show = lambda: subprocess.run(['nft', 'list', 'ruleset'], check=True, capture_output=True, text=True).stdout\n"
        "subprocess.run(['nft', '-f', '-'], input=sys.argv[2], check=True, text=True)\n"
        "before = show()\n"
        "note = lambda **change: undo.note(sys.argv[1], **change)\n"
        "firewall.let_in(sys.argv[3:], '127.0.0.1', 8080, note)\n"
        "print(show())\n"
        "assert undo.undo(sys.argv[1]) == []\n"
        "assert show() == before\n"
    )
    argv = ["unshare", "--net", "python3", "-c", code, str(tmp_path), guard, *SOURCES]
    package = Path(firewall.__file__).parents[1]

    ran = subprocess.run(
        argv, check=False, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(package)}
    )

    assert ran.returncode == 0, ran.stderr
    for source in SOURCES:
        assert f'ip saddr {source} tcp dport 8080 accept comment "cgidlab port 8080"' in ran.stdout
