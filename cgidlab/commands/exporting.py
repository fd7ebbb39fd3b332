"""`observe --serve` and `--textfile`: become the exporter of this machine."""

from __future__ import annotations

import os
import re
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cgidlab.commands import options
from cgidlab.errors import ProvisionError, SpecError

if TYPE_CHECKING:
    import argparse

_ADDRESS = re.compile(r"(?:[\w.-]+|\[[0-9a-fA-F:]+\]):(\d{1,5})")
_LARGEST_PORT = 65535
# What is about one window, or about another machine.
_OF_A_WINDOW = (
    "--host", "--target", "--become", "--socket", "--all", "--duration", "--until-full", "--error-log", "--status-url",
    "--requests",    "--watch", "--fail-on", "--nagios",
)  # fmt: skip
_DESTINATIONS = {"--all": "every"}
_PROGRAM = "import sys; sys.path.insert(0, sys.argv.pop(1)); from cgidhost.__main__ import main; sys.exit(main())"


def add(p: argparse.ArgumentParser) -> None:
    """Add the options."""
    p.add_argument(
        "--serve",
        type=_address,
        metavar="ADDRESS:PORT",
        help="for good: metrics of every listening unix socket of this machine for Prometheus, at /metrics "
        "(127.0.0.1:9177)",
    )
    p.add_argument(
        "--textfile",
        type=_prom_file,
        metavar="PATH",
        help="the same into a file that node_exporter reads (*.prom), replaced every 15 s",
    )


def wanted(args: argparse.Namespace) -> bool:
    """Say whether one of them was given."""
    return args.serve is not None or args.textfile is not None


def run(args: argparse.Namespace) -> int:
    """Become the helper: what watches for good needs none of what this process has loaded."""
    given = [o for o in _OF_A_WINDOW if getattr(args, _DESTINATIONS.get(o, o.strip("-").replace("-", "_")))]
    if given:
        fix = (
            "install it there with playbooks/exporter.yml"
            if given[0] in ("--host", "--target")
            else f"leave {given[0]} out"
        )
        raise SpecError(f"{given[0]} is about a look, not about --serve or --textfile", where="--serve", fix=fix)
    if args.serve is not None:
        _try(args.serve)
    if args.textfile is not None:
        _look_at(args.textfile.parent)
    helpers = options.ROOT / "roles" / "trial" / "files"
    words = [sys.executable, "-I", "-B", "-c", _PROGRAM, str(helpers), "serve", "--cost", str(args.cost)]
    words += ["--listen", args.serve] if args.serve is not None else []
    words += ["--textfile", str(args.textfile)] if args.textfile is not None else []
    sys.stdout.flush()
    os.execv(sys.executable, words)  # noqa: S606 -- no shell is wanted


def _try(address: str) -> None:
    """Raise `ProvisionError` where the address cannot be had: the helper's own words would be the kernel's."""
    host, _, port = address.rpartition(":")
    try:
        family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
        socket.create_server((host.strip("[]"), int(port)), family=family).close()
    except OSError as err:
        raise ProvisionError(f"{address}: {err.strerror}", where="--serve", fix="take another port") from err


def _look_at(directory: Path) -> None:
    """Raise `ProvisionError` where no file can be made there: node_exporter makes its directory, and may be absent."""
    fix = "make it, or name the directory that node_exporter was given (--collector.textfile.directory)"
    if not directory.is_dir():
        raise ProvisionError(f"there is no directory {directory}", where="--textfile", fix=fix)
    if not os.access(directory, os.W_OK | os.X_OK):
        fix = "run as root, or name another one"
        raise ProvisionError(f"{directory} cannot be written to", where="--textfile", fix=fix)


def _address(text: str) -> str:
    found = _ADDRESS.fullmatch(text)
    if found is None or int(found.group(1)) > _LARGEST_PORT:
        raise SpecError(f"`{text}` is no address with a port", where="--serve", fix="such as 127.0.0.1:9177")
    return text


def _prom_file(text: str) -> Path:
    path = Path(text).absolute()
    if path.suffix != ".prom":
        raise SpecError(f"`{text}` does not end in .prom: node_exporter reads no other files", where="--textfile")
    return path
