"""Which machines make the load of a server's trials, and how it is split among them. Touches no host."""

import ipaddress
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cgidlab.drivers import DRIVERS
from cgidlab.errors import ProvisionError, SpecError
from cgidlab.instruments.host import Host
from cgidlab.model import LoopKind, Settings, Trial
from cgidlab.parsers import host_report
from cgidlab.parsers.host_report import GeneratorReport, HostReport

# That the load lasts longer than the window at both ends, beside what a start may be late: for connecting
# hundreds of clients, and for what is left of two clocks' difference.
SPARE_S = 0.1
_DIRECTORY = "generators"  # in the directory of the host reports


@dataclass(frozen=True, slots=True)
class Share:
    """What one generator does of a trial's load."""

    clients: int
    rate: int


def reports_dir(hosts_dir: Path) -> Path:
    """Return where provisioning writes what it found on generators."""
    return hosts_dir / _DIRECTORY


def of_server(hosts_dir: Path, server: HostReport) -> tuple[GeneratorReport, ...]:
    """Return the generators that load a server, by their names; none where it loads itself.

    Raises `ProvisionError` when there are too few of them for the servers, or an address of
    theirs or of the server is none that a trial can use.
    """
    found = {r.host: r for r in map(host_report.read_generator, sorted(reports_dir(hosts_dir).glob("*.json")))}
    if not found:
        return ()
    servers = [path.stem for path in sorted(hosts_dir.glob("*.json"))]
    return tuple(_reachable(found[name]) for name in assigned(server.host, servers, sorted(found)))


def assigned(server: str, servers: Sequence[str], generators: Sequence[str]) -> tuple[str, ...]:
    """Return a server's generators: they are dealt out evenly, since one cannot load two servers at a time.

    Raises `ProvisionError` when there are fewer generators than servers.
    """
    if len(generators) < len(servers):
        raise ProvisionError(
            f"{len(servers)} servers but {len(generators)} generators: each server needs one of its own, "
            "since servers are loaded at the same time",
            where="the inventory",
            fix="name more hosts in `generators`, or fewer in `servers`; a host that is in both loads itself alone",
        )
    return tuple(generators[sorted(servers).index(server) :: len(servers)])


def _reachable(found: GeneratorReport) -> GeneratorReport:
    return replace(found, address=ipv4(found.address, found.host))


def ipv4(address: str, host: str) -> str:
    """Return an address of the inventory as an IPv4 address; raise `ProvisionError` when it is none."""
    try:
        return str(ipaddress.IPv4Address(address))
    except ValueError:
        pass
    try:
        return socket.gethostbyname(address)
    except OSError as err:
        raise ProvisionError(
            f"`{address}` is no IPv4 address, and no name of one",
            where=f"host {host} of the inventory",
            fix="set cgidlab_address there: the address by which the other machines of a trial know this host",
        ) from err


def split(total: int, parts: int, step: int = 1) -> tuple[int, ...]:
    """Return `parts` multiples of `step` that add up to `total` and differ by one step at most, larger ones first.

    `total` has to be a multiple of `step`. Parts may be 0.
    """
    each, rest = divmod(total // step, parts)
    return tuple((each + (place < rest)) * step for place in range(parts))


def shares(settings: Settings, parts: int) -> tuple[Share, ...]:
    """Return what each of `parts` generators does; those with nothing to do come last."""
    clients, rate = int(settings["clients"]), int(settings["rate"])
    if settings["loop"] == LoopKind.OPEN:
        return tuple(Share(clients, part) for part in split(rate, parts, DRIVERS[str(settings["driver"])].rate_step))
    return tuple(Share(part, rate) for part in split(clients, parts))


def busy(settings: Settings, generators: Sequence[GeneratorReport]) -> tuple[tuple[GeneratorReport, Share], ...]:
    """Return the generators that a trial uses, with what each does."""
    paced = settings["loop"] == LoopKind.OPEN
    pairs = zip(generators, shares(settings, len(generators)), strict=True)
    return tuple((found, share) for found, share in pairs if (share.rate if paced else share.clients) > 0)


def margin_s(settings: Settings) -> float:
    """Return by how much the load lasts longer than the window, before it and after it."""
    return float(settings["max_start_lag_s"]) + SPARE_S


def load_s(settings: Settings) -> float:
    """Return how long generators make load, from the agreed start on."""
    return float(settings["warmup_s"]) + float(settings["window_s"]) + 2 * margin_s(settings)


def placed(trials: Iterable[Trial], generators: Sequence[GeneratorReport]) -> tuple[Trial, ...]:
    """Return trials as they run with such generators: on the server's own network where these are other machines.

    Raises `SpecError` for a trial that cannot be run so.
    """
    if not generators:
        return tuple(trials)
    return tuple(_on_the_network(trial) for trial in trials)


def _on_the_network(trial: Trial) -> Trial:
    settings = trial.cell.settings
    where = f"cell {trial.cell.id}, with generators"
    driver = DRIVERS[str(settings["driver"])]
    if not driver.merges:
        able = " or ".join(d.name for d in DRIVERS.values() if d.merges)
        raise SpecError(
            f"the logs of several {driver.name} cannot be merged: they know whole seconds only",
            where=where,
            fix=f"use driver: {able}",
        )
    if any(name == "isolation" and level.value != "host" for name, level in trial.cell.levels):
        raise SpecError(
            "other machines cannot reach a server in namespaces of its own",
            where=where,
            fix="use --only isolation=host, or an inventory whose `generators` are its `servers`",
        )
    return replace(trial, cell=replace(trial.cell, settings={**settings, "isolation": "host"}))


def settings_of(trial: Trial, share: Share) -> Settings:
    """Return a trial's settings as they are for a generator: its share, for longer than the window."""
    settings = trial.cell.settings
    return {
        **settings,
        "clients": share.clients,
        "rate": share.rate,
        "window_s": float(settings["window_s"]) + 2 * margin_s(settings),
        "isolation": "host",
    }


def trial_json(trial: Trial, port: int) -> Mapping[str, Any]:
    """Return what else a generator's helper reads of a trial: that it has no server to start.

    It watches itself in unwatched passes as well, which costs the server nothing.
    """
    nothing = dict.fromkeys(("httpd_conf", "httpd_binary", "httpd_version", "module", "module_sha256"), "")
    return {
        "number": trial.number,
        "key": trial.key,
        "cell": trial.cell.id,
        **nothing,
        **({} if trial.watched else {"instruments": [Host.name]}),
        "port": port,
    }
