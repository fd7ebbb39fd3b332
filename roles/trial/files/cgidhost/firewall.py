"""Lets the generators of one trial through the host's firewall, where one is active: firewalld, or nftables alone.

Every rule is noted before it is made, is in force at run time only, and is found again by what was noted.
"""

from __future__ import annotations

import fcntl
import json
import re
import shutil
import socket
import struct
import subprocess
from typing import Any, Callable, Iterable, Mapping, Optional

from .ending import TrialEnd
from .process import ENVIRONMENT

_SIOCGIFADDR = 0x8915
_TIMEOUT_S = 20.0
_FAMILIES = ("ip", "inet")
# What `let_in` notes of a rule, by who has the rule; what reads differently is nobody's of ours to remove.
_NOTES = {
    "firewalld": {
        "zone": r"[\w.-]+",
        "rule": r'rule family="ipv4" source address="[\d.]+" port port="\d+" protocol="tcp" accept',
    },
    "nftables": {"chain": r"(ip|inet) [\w.-]+ [\w.-]+", "comment": r"cgidlab port \d+"},
}
Note = Callable[..., None]


def let_in(sources: Iterable[str], address: str, port: int, note: Note) -> None:
    """Let `sources` reach a TCP port of an address of this host; raise TrialEnd (infra) where the firewall refuses."""
    try:
        if _firewalld_runs():
            zone = _zone(address)
            for source in sources:
                rule = f'rule family="ipv4" source address="{source}" port port="{port}" protocol="tcp" accept'
                note(firewall="firewalld", zone=zone, rule=rule)
                _run("firewall-cmd", f"--zone={zone}", f"--add-rich-rule={rule}")
        else:
            comment = f"cgidlab port {port}"
            for chain in _input_chains():
                note(firewall="nftables", chain=chain, comment=comment)
                for source in sources:
                    words = f"ip saddr {source} tcp dport {port} accept comment"
                    _run("nft", "insert", "rule", *chain.split(), *words.split(), f'"{comment}"')
    except OSError as error:
        raise TrialEnd("infra", f"the firewall does not let the generators in: {error.strerror or error}") from error


def close(change: Mapping[str, Any]) -> str:
    """Take back what was noted, if it was made and is still there; return what was done, "" if nothing.

    Raises OSError where that is refused, or where it is not what `let_in` notes.
    """
    want = _NOTES.get(change["firewall"], {})
    if not want or not all(re.fullmatch(pattern, change.get(name, "")) for name, pattern in want.items()):
        raise OSError(22, "no rule that a trial makes")
    if change["firewall"] == "firewalld":
        zone, rule = f"--zone={change['zone']}", change["rule"]
        if not _firewalld_runs() or _says("firewall-cmd", zone, f"--query-rich-rule={rule}") is None:
            return ""
        _run("firewall-cmd", zone, f"--remove-rich-rule={rule}")
        return f"firewalld: removed {rule}"
    chain = change["chain"].split()
    listed = _says("nft", "-j", "-a", "list", "chain", *chain)
    found = [] if listed is None else handles(listed, change["comment"])
    for handle in found:
        _run("nft", "delete", "rule", *chain, "handle", str(handle))
    return f"nftables: removed {len(found)} rules of {change['chain']}" if found else ""


def handles(listed: str, comment: str) -> list[int]:
    """Return the handles of the rules with a comment, from what `nft -j -a list chain` says."""
    rules = [entry["rule"] for entry in json.loads(listed)["nftables"] if "rule" in entry]
    return [int(rule["handle"]) for rule in rules if rule.get("comment") == comment]


def input_chains(ruleset: str) -> list[str]:
    """Return family, table and name of every chain that filters what comes in, from `nft -j list ruleset`."""
    chains = [entry["chain"] for entry in json.loads(ruleset)["nftables"] if "chain" in entry]
    return [
        f"{c['family']} {c['table']} {c['name']}"
        for c in chains
        if c["family"] in _FAMILIES and c.get("hook") == "input" and c.get("type") == "filter"
    ]


def _input_chains() -> list[str]:
    ruleset = _says("nft", "-j", "list", "ruleset")
    return [] if ruleset is None else input_chains(ruleset)


def _firewalld_runs() -> bool:
    return _says("firewall-cmd", "--state") is not None


def _zone(address: str) -> str:
    """Return the zone of the interface that has the address, the default zone where it has none."""
    interface = _interface(address)
    zone = None if interface is None else _says("firewall-cmd", f"--get-zone-of-interface={interface}")
    return (zone or _run("firewall-cmd", "--get-default-zone")).strip()


def _interface(address: str) -> Optional[str]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for _, name in socket.if_nameindex():
            try:
                answer = fcntl.ioctl(control, _SIOCGIFADDR, struct.pack("256s", name.encode()))
            except OSError:
                continue  # it has no IPv4 address
            if socket.inet_ntoa(answer[20:24]) == address:
                return name
    return None


def _says(*argv: str) -> Optional[str]:
    """Return what a program prints, None where it is not there or fails: then there is nothing to open."""
    try:
        return _run(*argv)
    except OSError:
        return None


def _run(program: str, *words: str) -> str:
    """Return what a program prints; raise OSError with its own words when it fails."""
    path = shutil.which(program, path=ENVIRONMENT["PATH"])
    if path is None:
        raise FileNotFoundError(2, f"{program} is not installed")
    try:
        ran = subprocess.run(
            [path, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=ENVIRONMENT,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(110, f"{program} does not end") from error
    if ran.returncode:
        raise OSError(5, f"{program}: {(ran.stderr or ran.stdout).strip()}")
    return ran.stdout
