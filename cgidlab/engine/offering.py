"""Which versions of httpd can be had on a target, and from where: the hosts' answers and the directory of tarballs."""

import tempfile
from dataclasses import dataclass, fields
from pathlib import Path

from cgidlab.engine import ansible, execute, sources, targets
from cgidlab.errors import ProvisionError
from cgidlab.progress import Display


@dataclass(frozen=True, slots=True)
class Offer:
    """One version, or why a place has none to offer."""

    httpd: str  # what to write as `httpd`; empty for a build, which is found by what it was built from
    version: str  # empty when the place could not be asked
    origin: str  # apt, dnf, upstream, cache, built: SOURCE, --sources
    verified: str  # how; empty: not at all
    available: bool
    reason: str  # why it is not available


def offers(root: Path, target: str, directory: Path | None, display: Display) -> dict[str, tuple[Offer, ...]]:
    """Return what can be had, by host. Raises `SpecError` for the directory and `ProvisionError` for the hosts."""
    own = tuple(
        Offer(f"upstream:{t.version}", t.version, "--sources", "checksum", available=True, reason="")
        for t in (sources.read(directory) if directory else ())
        if t.program == "httpd"
    )
    site = targets.site(target, root)
    with tempfile.TemporaryDirectory(prefix="cgidlab-sources-") as scratch:
        callbacks = ansible.Callbacks(on_task=lambda name: display.step(f"asking: {name}"))
        found = execute.offers(site, Path(scratch), callbacks)
    names = {f.name for f in fields(Offer)}
    try:
        return {host: (*own, *(Offer(**{n: one[n] for n in names}) for one in said)) for host, said in found.items()}
    except (KeyError, TypeError) as err:
        raise ProvisionError(f"not a list of versions: {err!r}", where=target) from err
