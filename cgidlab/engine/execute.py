"""Provisioning hosts, and what is handed to them as a block, through Ansible. Decides nothing about results."""

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from cgidlab import files
from cgidlab.design import arriving, faults
from cgidlab.design import catalogue as cat
from cgidlab.design.catalogue import Catalogue
from cgidlab.design.hooks import Commands
from cgidlab.design.own_files import OwnContent
from cgidlab.design.systems import PROVIDED, system_of
from cgidlab.engine import ansible, ansible_environment, generators, packing, sending, unreachable
from cgidlab.engine.configurations import LOOPBACK, SERVER_GID, SERVER_USER, to_check
from cgidlab.engine.sources import Tarball, needed
from cgidlab.errors import LabError, ProvisionError
from cgidlab.model import Limits, Plan, Scalar, Settings, Trial
from cgidlab.parsers import host_report
from cgidlab.parsers.host_report import GeneratorReport, HostReport

# Each trial has a network of its own, so that the port can be the same for all.
PORT = 8080
BLOCK_VERSION = 2  # of block.json (cgidhost.blockfile)
# Whose options the helper needs: what is built is a path to it, and an instrument a name.
_OF_HELPER = ("cgid", "scripts", "server", "systems", "kernel", "load", "trial")
# Longer than an emulated, busy host takes from one look of the control machine to the next.
LEASE_S = 60


@dataclass(frozen=True, slots=True)
class Site:
    """Where the project's files are, and which hosts are meant."""

    root: Path
    inventory: Path
    servers: tuple[str, ...] = ()  # the hosts of each group, in the inventory's order
    generators: tuple[str, ...] = ()
    tarballs: tuple[Tarball, ...] = ()  # that provisioning takes in place of a download
    refresh: bool = False  # look for newer sources although some are in the cache
    own: tuple[OwnContent, ...] = ()  # files of the user's that the experiment names
    limits: Limits = field(default_factory=Limits)

    @property
    def roles(self) -> Path:
        """Return the directory of the roles."""
        return self.root / "roles"

    def playbook(self, name: str) -> Path:
        """Return the path of a playbook of the project."""
        return self.root / "playbooks" / f"{name}.yml"


@dataclass(frozen=True, slots=True)
class BlockNeeds:
    """What one block needs beside its trials."""

    directory: Path  # of the block, on the control machine
    host: HostReport
    host_directory: str  # of the block, on the host
    generators: tuple[GeneratorReport, ...] = ()  # none: the load is made on the server's host
    own: tuple[OwnContent, ...] = ()
    hooks: Commands = ()
    hooked: frozenset[int] = frozenset()  # the trials that these are of
    seed: int = 1  # of the experiment, from which schedules of requests follow


def provision(
    site: Site,
    plan: Plan,
    hosts_dir: Path,
    snapshots_dir: Path,
    invocation_dir: Path,
    callbacks: ansible.Callbacks,
    become_password: str | None = None,
    code_sha256: str = "",
) -> tuple[HostReport, ...]:
    """Make the hosts ready for a plan and return what was found and built on each.

    How each was before that is in `snapshots_dir`. Where `code_sha256`, of the roles and playbooks, is given, a host on
    which an earlier provisioning for the same plan still holds is believed to have everything (module host_survey);
    sources that move, such as a branch, are looked at each time.

    Raises `ProvisionError` with the first host's own message when that fails.
    """
    shutil.rmtree(generators.reports_dir(hosts_dir), ignore_errors=True)  # of another inventory
    for directory in (hosts_dir, snapshots_dir, invocation_dir):
        files.make_directory(directory)
    helper = invocation_dir / "cgidhost.pyz"
    files.write_bytes(helper, packing.pack_helper(site.roles / "trial" / "files" / "cgidhost"))
    settings = [cell.settings for cell in plan.cells]
    configurations = to_check(plan, cat.load(site.roles))
    checked = invocation_dir / "configurations.json"
    files.write_json(checked, {"configurations": configurations})
    played = ansible.play(
        site.playbook("provision"),
        site.inventory,
        {
            "cgidlab_builds": wanted_builds(settings, cat.load(site.roles)),
            "cgidlab_drivers": sorted({str(s["driver"]) for s in settings}),
            "cgidlab_systems": sorted({system_of(s) for s in settings} & set(PROVIDED)),
            "cgidlab_instruments": list(plan.experiment.instruments),
            "cgidlab_helper_archive": str(helper.resolve()),
            "cgidlab_provision_dir": str(hosts_dir.resolve()),
            "cgidlab_snapshot_dir": str(snapshots_dir.resolve()),
            "cgidlab_configurations_file": str(checked.resolve()) if configurations else "",
            "cgidlab_become_asked": become_password is not None,
            "cgidlab_code_sha256": "" if site.refresh or _moves(settings) else code_sha256,
            **_sources(site, settings),
            **sending.variables(site.own, invocation_dir / "own"),
        },
        invocation_dir,
        timeout_s=site.limits.provision_s,
        callbacks=callbacks,
        become_password=become_password,
    )
    if not played.ok:
        raise _provision_error(played, site.limits)
    reports = tuple(host_report.read(path) for path in sorted(hosts_dir.glob("*.json")))
    if not reports:
        raise ProvisionError("the inventory has no host in the group `servers`", where=str(site.inventory))
    return reports


def _moves(settings: Iterable[Settings]) -> bool:
    return any(str(s["httpd"]).startswith(("path:", "git:")) for s in settings)


def _sources(site: Site, settings: Iterable[Settings]) -> dict[str, Any]:
    """Return what the role `build` is told about sources; nothing leaves it to the inventory."""
    tarballs = needed(site.tarballs, {str(s["httpd"]) for s in settings})
    told = {"build_tarballs": [{"path": str(t.path), "sha256": t.sha256} for t in tarballs]} if tarballs else {}
    return {**told, **({"build_refresh": True} if site.refresh else {})}


def offers(site: Site, directory: Path, callbacks: ansible.Callbacks) -> dict[str, list[dict[str, Any]]]:
    """Return by host which versions of httpd can be had there. Raises `ProvisionError` when no host could be asked."""
    files.make_directory(directory)
    variables = {"cgidlab_offers_dir": str((directory / "hosts").resolve())}
    played = ansible.play(
        site.playbook("sources"),
        site.inventory,
        variables,
        directory,
        timeout_s=site.limits.provision_s,
        callbacks=callbacks,
    )
    if not played.ok:
        raise _provision_error(played, site.limits)
    found = {p.stem: json.loads(p.read_text())["offers"] for p in sorted((directory / "hosts").glob("*.json"))}
    if not found:
        raise ProvisionError("the inventory has no host in the group `servers`", where=str(site.inventory))
    return found


def _provision_error(played: ansible.Played, limits: Limits) -> ProvisionError:
    log = str(played.directory / "stdout")
    if played.timed_out:
        return ProvisionError(f"provisioning took longer than {limits.provision_s:.0f} s", where=log)
    if not played.failures:
        return ProvisionError(played.why, where=log, fix="read the log")
    first = played.failures[0]
    if first.unreachable:
        return ProvisionError(
            f"{first.host} cannot be reached: {unreachable.in_short(first.message)}",
            where=log,
            fix=unreachable.advice(first.message),
        )
    return ProvisionError(f"provisioning {first.host} failed at the task `{first.task}`:\n{first.message}", where=log)


def wanted_builds(settings: Iterable[Settings], catalogue: Catalogue) -> list[dict[str, Any]]:
    """Return each httpd once with the variants of mod_cgid that the cells ask for, in a stable order."""
    builds: dict[str, set[tuple[Scalar, ...]]] = {}
    knobs = catalogue.of_roles("cgid")
    for s in settings:
        builds.setdefault(str(s["httpd"]), set()).add(tuple(s[knob] for knob in knobs))
    return [
        {"httpd": httpd, "variants": [dict(zip(knobs, variant, strict=True)) for variant in sorted(variants)]}
        for httpd, variants in sorted(builds.items())
    ]


def incoming(block: BlockNeeds) -> Path:
    """Return where a block's trials come home to, on the control machine."""
    return block.directory / "incoming"


def order(site: Site, block: BlockNeeds, trials: tuple[Trial, ...], catalogue: Catalogue) -> dict[str, Any]:
    """Write a block down, and those of its generators, and return the order for it as the role takes it."""
    files.make_directory(incoming(block))
    file = block.directory / "block.json"
    files.write_json(file, block_json(block, trials, catalogue))
    for place, generator in enumerate(block.generators):
        files.write_json(_generator_file(block, generator), _generator_json(block, trials, catalogue, place))
    return {
        "file": str(file.resolve()),
        "dir": block.host_directory,
        "dest": str(incoming(block).resolve()),
        "trials": [_expected(t, block, site.limits) for t in trials],
    }


def stop_block(site: Site, block: BlockNeeds) -> ansible.Played:
    """End a block that is no longer wanted and remove what it left on the host."""
    directory = block.directory / "teardown"
    with ansible_environment.own_tmp(directory / ansible.TMP) as environment:
        return ansible.play(
            site.playbook("teardown"),
            site.inventory,
            host_variables(block),
            directory,
            timeout_s=site.limits.teardown_s,
            environment=environment,
        )


def host_variables(block: BlockNeeds) -> dict[str, Any]:
    """Return what the playbooks of a block are told about its hosts."""
    return {
        "cgidlab_server": block.host.host,
        "cgidlab_become": block.host.become,
        "cgidlab_python": block.host.python,
        "cgidlab_helper": block.host.helper,
        "cgidlab_block_dir": block.host_directory,
        "cgidlab_generators": {
            g.host: {
                "become": g.become,
                "python": g.python,
                "helper": g.helper,
                "dir": _on_generator(block, g),
                "block_file": str(_generator_file(block, g).resolve()),
            }
            for g in block.generators
        },
    }


def _on_generator(block: BlockNeeds, generator: GeneratorReport) -> str:
    return f"{generator.work_dir}/{PurePosixPath(block.host_directory).name}"


def _generator_file(block: BlockNeeds, generator: GeneratorReport) -> Path:
    return block.directory / f"generator-{generator.host}.json"


def _expected(trial: Trial, block: BlockNeeds, limits: Limits) -> dict[str, Any]:
    """Return a trial as the role waits for it."""
    settings = trial.cell.settings
    expected: dict[str, Any] = {
        "number": trial.number,
        "timeout_s": limits.of_trial_s(trial),
        "expected_s": float(settings["warmup_s"]) + float(settings["window_s"]),
    }
    if not block.generators:
        return expected
    return {
        **expected,
        "generators": [g.host for g, _ in generators.busy(settings, block.generators)],
        "load_s": generators.load_s(settings),
        "max_clock_offset_s": float(settings["max_clock_offset_s"]),
    }


def _generator_json(block: BlockNeeds, trials: tuple[Trial, ...], catalogue: Catalogue, place: int) -> dict[str, Any]:
    """Return the block of one of its generators, with the trials in which that has something to do."""
    own = block.generators[place]
    wanted = []
    for trial in trials:
        busy = generators.busy(trial.cell.settings, block.generators)
        for part, (found, share) in enumerate(busy):
            if found is own:
                settings = generators.settings_of(trial, share)
                margin_s = generators.margin_s(trial.cell.settings)
                order = arriving.order_of(trial, block.seed, part=part, parts=len(busy), margin_s=margin_s)
                asked = sending.asked(settings, block.own, own)
                given = {**generators.trial_json(trial, PORT), **asked, "arrivals": order}
                wanted.append({**ordered(settings, catalogue), **given})
    return {**_order(own, trials[0].block, _on_generator(block, own), wanted), "generates": True}


def block_json(block: BlockNeeds, trials: tuple[Trial, ...], catalogue: Catalogue) -> dict[str, Any]:
    """Return a block as the helper and the template of httpd.conf read it."""
    wanted = [_trial_json(trial, block, catalogue) for trial in trials]
    return _order(block.host, trials[0].block, block.host_directory, wanted)


def _order(
    host: HostReport | GeneratorReport, block: int, directory: str, trials: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "schema_version": BLOCK_VERSION,
        "block": block,
        "work_dir": directory,
        "host_dir": host.work_dir,
        "server_user": SERVER_USER,
        "control": _control(),
        "lease_s": LEASE_S,
        "tools": dict(host.tools),
        "trials": trials,
    }


def _trial_json(trial: Trial, block: BlockNeeds, catalogue: Catalogue) -> dict[str, Any]:
    s, host = trial.cell.settings, block.host
    httpd = host.httpd[str(s["httpd"])]
    try:
        variant = httpd.variant({knob: s[knob] for knob in catalogue.of_roles("cgid")})
    except KeyError as err:
        raise LabError(
            f"provisioning did not build the variant of mod_cgid for {trial.cell.id}", where=host.host
        ) from err
    return {
        "number": trial.number,
        "key": trial.key,
        "cell": trial.cell.id,
        "watched": trial.watched,
        **ordered(s, catalogue),
        "options": catalogue.long_names({name: s[name] for name in catalogue.of_roles("server")}),
        "httpd_binary": httpd.binary,
        "httpd_version": httpd.version,
        "modules_dir": httpd.modules_dir,
        "module": variant.path,
        "module_sha256": variant.sha256,
        **sending.served(s, block.own, host),
        **sending.asked(s, block.own, host),
        "hooks": sending.hooked(block.hooks, block.own, host) if trial.number in block.hooked else {},
        "server_user": SERVER_USER,
        "server_gid": SERVER_GID,
        "port": PORT,
        "fault": _fault(s),
        "finishing": faults.finishing(s),
        "intervention_slot_s": trial.intervention_slot_s,
        "arrivals": arriving.order_of(trial, block.seed),
        **_network(trial, block),
    }


def ordered(settings: Settings, catalogue: Catalogue) -> dict[str, Any]:
    """Return what a trial's settings mean for the helper: what it needs of them, and each instrument that is on."""
    return {
        "system": system_of(settings),
        "settings": {name: settings[name] for name in catalogue.of_roles(*_OF_HELPER)},
        "instruments": [name for name in cat.instruments(catalogue) if settings[name]],
        "directives": {name: option.directive for name, option in catalogue.options.items() if option.directive},
    }


def _network(trial: Trial, block: BlockNeeds) -> dict[str, Any]:
    """Return where the trial's server listens and who may ask it: nobody but its own host, unless others load it."""
    if not block.generators:
        return {"listen": LOOPBACK, "remote": None}
    address = generators.ipv4(block.host.address, block.host.host)
    sources = [g.address for g, _ in generators.busy(trial.cell.settings, block.generators)]
    margin_s = generators.margin_s(trial.cell.settings)
    return {"listen": address, "remote": {"address": address, "margin_s": margin_s, "sources": sources}}


def _fault(settings: Settings) -> Mapping[str, Any] | None:
    found = faults.fault_of(settings)
    return None if found is None else asdict(found)


def _control() -> Mapping[str, Any]:
    """Say which process the block belongs to, so that it ends when that does."""
    stat = Path("/proc/self/stat").read_text()
    return {
        "pid": os.getpid(),
        # Field 22 of proc_pid_stat(5); the name before it may hold spaces.
        "start_ticks": int(stat.rpartition(")")[2].split()[19]),
        "boot_id": Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
    }
