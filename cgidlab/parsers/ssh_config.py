"""How machines are reached: the blocks of an OpenSSH client configuration such as `vagrant ssh-config` prints."""

import re
from dataclasses import dataclass

from cgidlab.errors import LabError

# keyword, then blanks or one equals sign, then the value: ssh_config(5)
_LINE = re.compile(r"(?P<keyword>[A-Za-z][A-Za-z0-9]*)(?:\s*=\s*|\s+)(?P<value>\S.*)")
_DEFAULT_PORT, _PORT_DIGITS = 22, 5


@dataclass(frozen=True, slots=True)
class SshHost:
    """One `Host` block."""

    name: str
    address: str  # HostName; the name itself where there is none
    port: int
    user: str | None
    identity_files: tuple[str, ...]
    options: tuple[tuple[str, str], ...]  # every other keyword as it is spelt, and its value, in their order


def parse(text: str) -> tuple[SshHost, ...]:
    """Return the blocks in their order. As for ssh the first value of a keyword counts.

    Raises `LabError` with the line for what is no such configuration: a line that is no
    keyword with a value, one before the first `Host`, a `Host` with a pattern or several
    names, or a port that is none.
    """
    blocks: list[tuple[str, list[tuple[str, str]]]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.strip()
        if not words or words.startswith("#"):
            continue
        found = _LINE.fullmatch(words)
        if not found or (not blocks and found["keyword"].lower() != "host"):
            raise _error(number, line)
        keyword, value = found["keyword"], _unquoted(found["value"].strip())
        if keyword.lower() != "host":
            blocks[-1][1].append((keyword, value))
        elif re.search(r"[\s*?!]", value):
            raise _error(number, line)
        else:
            blocks.append((value, []))
    return tuple(_host(name, pairs) for name, pairs in blocks)


def _host(name: str, pairs: list[tuple[str, str]]) -> SshHost:
    first: dict[str, str] = {}
    for keyword, value in pairs:
        first.setdefault(keyword.lower(), value)
    port = first.get("port", str(_DEFAULT_PORT))
    if not (port.isdecimal() and len(port) <= _PORT_DIGITS):
        raise LabError(f"`{port}` is no port", where=f"the SSH configuration of {name}")
    known = {"hostname", "port", "user", "identityfile"}
    return SshHost(
        name=name,
        address=first.get("hostname", name),
        port=int(port),
        user=first.get("user"),
        identity_files=tuple(value for keyword, value in pairs if keyword.lower() == "identityfile"),
        options=tuple((keyword, value) for keyword, value in pairs if keyword.lower() not in known),
    )


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value.startswith('"') and value.endswith('"') else value


def _error(number: int, line: str) -> LabError:
    return LabError("this is no SSH configuration of single hosts", where=f"line {number}: {line.strip()}")
