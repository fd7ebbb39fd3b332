"""Hosts made ready for a plan; the only module that asks for a password."""

import getpass
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from cgidlab.engine import ansible, execute, hosts_after, vagrant
from cgidlab.engine.loading import Loaded
from cgidlab.errors import InterruptedRun, ProvisionError
from cgidlab.parsers.host_report import HostReport
from cgidlab.progress import Display
from cgidlab.runs import provenance
from cgidlab.runs.store import RunDirectory

_NOT_TAKEN = "Sorry, try again"  # sudo's own words, in the language that Ansible sets for it


def provisioned(
    loaded: Loaded,
    run_directory: RunDirectory,
    display: Display,
    cancelled: Callable[[], bool],
    hosts_dir: Path | None = None,
) -> tuple[HostReport, ...]:
    """Provision all hosts, asking for the sudo password if, and only if, a package is missing.

    What was found goes to the run's `hosts/`, or to `hosts_dir`. Raises `InterruptedRun` when it was stopped meanwhile.
    """
    try:
        return _provisioned(loaded, run_directory, display, cancelled, hosts_dir or run_directory.path / "hosts")
    except ProvisionError as err:
        if cancelled():
            raise InterruptedRun("stopped before the first trial", where=str(run_directory.path)) from err
        raise


def _provisioned(
    loaded: Loaded, run_directory: RunDirectory, display: Display, cancelled: Callable[[], bool], hosts_dir: Path
) -> tuple[HostReport, ...]:
    if loaded.plan.experiment.target == vagrant.TARGET:
        vagrant.write_inventory(loaded.site.root)
    display.say("provisioning: packages, httpd, mod_cgid variants (the first time builds httpd, about a minute)")
    callbacks = ansible.Callbacks(on_task=lambda name: display.step(f"provisioning: {name}"), cancelled=cancelled)
    snapshots_dir = hosts_after.directory_for_begin(run_directory)
    directory = run_directory.ansible(run_directory.unused_ansible("provision"))
    code = _code_sha256(loaded.site.root)
    try:
        return execute.provision(
            loaded.site, loaded.plan, hosts_dir, snapshots_dir, directory, callbacks, code_sha256=code
        )
    except ProvisionError as err:
        if (
            "password" not in err.what
            or not sys.stdin.isatty()
            or not shutil.which("sudo")
            or _sudo_needs_no_password()
        ):
            raise
        display.say("a package is missing and sudo wants a password to install it")
    password = getpass.getpass("sudo password: ")
    directory = run_directory.ansible(run_directory.unused_ansible("provision-become"))
    try:
        return execute.provision(
            loaded.site, loaded.plan, hosts_dir, snapshots_dir, directory, callbacks, password, code_sha256=code
        )
    except ProvisionError as err:
        if _NOT_TAKEN not in err.what:
            raise
        raise ProvisionError("sudo did not take the password", where=err.where, fix="run the command again") from err


def _code_sha256(root: Path) -> str:
    trees = (provenance.tree_sha256(root / name) for name in ("roles", "playbooks"))
    return hashlib.sha256("".join(trees).encode()).hexdigest()


def _sudo_needs_no_password() -> bool:
    ran = subprocess.run(["/usr/bin/env", "sudo", "-n", "true"], check=False, capture_output=True)
    return ran.returncode == 0
