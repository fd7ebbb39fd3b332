"""The target `vagrant`: an inventory of the machines that are up. The only module that starts Vagrant."""

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cgidlab import files
from cgidlab.errors import LabError, ProvisionError
from cgidlab.parsers import ssh_config
from cgidlab.parsers.ssh_config import SshHost

TARGET = "vagrant"
_TIMEOUT_S = 120.0
_GROUPS = {"server": "servers", "generator": "generators"}  # by what a machine's name begins with


def inventory_path(root: Path) -> Path:
    """Return where the inventory of the project's machines is written: with Vagrant's own state, out of git."""
    return root / os.environ.get("VAGRANT_DOTFILE_PATH", ".vagrant") / "cgidlab" / "inventory.json"


def write_inventory(root: Path) -> Path:
    """Write the inventory of the machines that are up, and return its path.

    Raises `ProvisionError` when Vagrant is missing or fails, and when the server or a machine
    that was made is not running. A machine that was never made is left out.
    """
    if shutil.which("vagrant") is None:
        raise ProvisionError(
            "the target `vagrant` needs Vagrant, which is not installed",
            where="--target vagrant",
            fix="install Vagrant and a provider as docs/vagrant.md says, or use another target",
        )
    running = _running(_vagrant(root, "status", "--machine-readable"))
    hosts = ssh_config.parse(_vagrant(root, "ssh-config", *running))
    path = inventory_path(root)
    files.make_directory(path.parent)
    files.write_json(path, inventory_of(hosts, _addresses(path.parent, hosts)))
    return path


def inventory_of(hosts: tuple[SshHost, ...], addresses: Mapping[str, str]) -> dict[str, Any]:
    """Return machines as an Ansible inventory: groups by name, and all that SSH has to know of each.

    `addresses` are those in the network that the machines share. Without a generator
    the servers make their own load. Raises `ProvisionError` when there is no server.
    """
    groups: dict[str, dict[str, Any]] = {"servers": {}, "generators": {}}
    for host in hosts:
        group = _group(host.name)
        if group:
            address = {"cgidlab_address": addresses[host.name]} if host.name in addresses else {}
            groups[group][host.name] = {**_variables(host), **address}
    if not groups["servers"]:
        raise ProvisionError(
            "none of Vagrant's machines is a server", where="vagrant status", fix="run: vagrant up server"
        )
    groups["generators"] = groups["generators"] or {name: {} for name in groups["servers"]}
    children = {name: {"hosts": members} for name, members in groups.items()}
    return {"all": {"vars": {"ansible_become": True}, "children": children}}


def _group(name: str) -> str | None:
    return next((group for beginning, group in _GROUPS.items() if name.startswith(beginning)), None)


def _variables(host: SshHost) -> dict[str, Any]:
    """Return one machine's connection variables; what Ansible has no variable for goes to ssh as it is."""
    arguments = [f"-oIdentityFile={_quoted(path)}" for path in host.identity_files[1:]]
    for keyword, value in host.options:
        if keyword.lower() == "include":  # no option of its own on ssh's command line
            arguments.append(f"-F{value}")
        elif keyword.lower() != "loglevel":
            arguments.append(f"-o{keyword}={value}")
    # Vagrant asks for FATAL, which hides why a machine cannot be reached.
    arguments.append("-oLogLevel=ERROR")
    return {
        "ansible_host": host.address,
        "ansible_port": host.port,
        **({"ansible_user": host.user} if host.user else {}),
        **({"ansible_ssh_private_key_file": host.identity_files[0]} if host.identity_files else {}),
        "ansible_ssh_common_args": shlex.join(arguments),
    }


def _quoted(path: str) -> str:
    return f'"{path}"' if " " in path else path


def _addresses(place: Path, hosts: tuple[SshHost, ...]) -> dict[str, str]:
    """Return each machine's address as the Vagrantfile wrote it down when the machine came up."""
    found = {}
    for host in hosts:
        path = place / f"machine-{host.name}.json"
        try:
            found[host.name] = str(json.loads(path.read_text())["address"])
        except FileNotFoundError:
            continue  # of a Vagrantfile that is not ours
        except (OSError, ValueError, KeyError) as err:
            raise LabError(
                "this file of the Vagrantfile cannot be read", where=str(path), fix="run: vagrant up"
            ) from err
    return found


def _running(status: str) -> list[str]:
    """Return the names of the machines that run, from `vagrant status --machine-readable`."""
    rows = [line.split(",") for line in status.splitlines()]
    states = {row[1]: row[3] for row in rows if len(row) > 3 and row[2] == "state"}  # noqa: PLR2004 -- when, who, what, value
    made = {name: state for name, state in states.items() if state != "not_created"}
    stopped = [f"{name} ({state})" for name, state in made.items() if state != "running"]
    if not made or stopped:
        what = f"are not running: {', '.join(stopped)}" if stopped else "were never brought up"
        raise ProvisionError(f"machines of the Vagrantfile {what}", where="vagrant status", fix="run: vagrant up")
    return list(made)


def _vagrant(root: Path, *words: str) -> str:
    """Return what Vagrant prints; its complaint is the error's text."""
    command = f"vagrant {' '.join(words)}"
    try:
        ran = subprocess.run(
            ["/usr/bin/env", "vagrant", *words],
            cwd=root,
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as err:
        raise ProvisionError(
            f"Vagrant did not answer in {_TIMEOUT_S:.0f} s", where=command, fix="see what holds it: vagrant status"
        ) from err
    if ran.returncode != 0:
        said = ran.stderr.strip() or ran.stdout.strip() or f"it exited with {ran.returncode}"
        raise ProvisionError(f"Vagrant failed:\n{said}", where=command, fix="run the command yourself to see more")
    return ran.stdout
