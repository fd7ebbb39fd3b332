"""A host of Enterprise Linux's shape: dnf, rpm and systemd in a root that says it is CentOS Stream, booted for SSH.

    .venv/bin/python -m tests.rigs.el_host DIR [--release 9|10] [--handlers]

The roles' whole way for the family RedHat runs on it: packages by dnf from repositories of which two are not enabled,
`dnf download --source httpd`, unpacking and patching by rpmbuild, the build, the controls and two trials; then two
trials of each handler; then the playbook once more, which must change nothing. First of all the same is asked of the
host without EPEL, which must say what it cannot have, and change nothing. --handlers leaves the controls out. What it
cannot show: SELinux, EL's own patches, compiler and kernel.

DIR keeps the root and the packages. The host lives in a network, mount and PID namespace and is gone with it.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from cgidlab.design.systems import SYSTEMS
from tests.rigs import el_packages, vm
from tests.rigs import guest as guests

HANDLERS = guests.REPO / "tests" / "experiments" / "el-handlers.yml"
# What the roles install of EPEL, by the handlers that need it.
_OF_EPEL = ("fcgid", "fcgiwrap", "gunicorn", "uwsgi")
_REFUSED = 3  # a host could not be made ready; no trial was run
PACKAGES = "openssh-server python3 systemd-sysv dbus iproute2 dnf rpm dnf-plugins-core ca-certificates tar xz-utils"
PROGRAMS = (*guests.PROGRAMS[:1], "systemd-nspawn", "rpmbuild", "createrepo_c", "dpkg-deb", "ssh-keygen", "unshare")
# Enterprise Linux has none of them, and the roles would take them for Debian's.
_NOT_THERE = ("apt", "apt-get", "apt-cache", "apt-config", "dpkg", "dpkg-query", "dpkg-deb", "dpkg-source")
_OS_RELEASE = """\
NAME="CentOS Stream"
VERSION="{release}"
ID="centos"
ID_LIKE="rhel fedora"
VERSION_ID="{release}"
PLATFORM_ID="platform:el{release}"
PRETTY_NAME="CentOS Stream {release}"
"""
_REPOSITORY = """\
[{name}]
name={name}
baseurl=file:///srv/repositories/{name}
gpgcheck=0
enabled={enabled}

"""


def make_el_root(work: Path, release: str) -> Path:
    """Make the root with its repositories, once for the packages that the roles name now; return it."""
    done, packages = work / "el.done", "\n".join(el_packages.wanted())
    if done.exists():
        if done.read_text() == packages:
            return work / "root"
        for name in ("el.done", "rpms.done", "root.done"):  # there is no apt in it any more
            (work / name).unlink(missing_ok=True)
    root = guests.make_root(work, packages=PACKAGES)
    places = el_packages.make_repositories(root, work, release)
    shutil.rmtree(root / "srv/repositories", ignore_errors=True)
    shutil.copytree(work / "repositories", root / "srv/repositories")
    repos = root / "etc/yum.repos.d"
    repos.mkdir(exist_ok=True)
    # The source repository carries the name that EL's have beside the binary one, and is not enabled either.
    names = {name: "baseos-source" if name == "appstream-source" else name for name in places}
    sections = {
        name: _REPOSITORY.format(name=section, enabled=int(name == "baseos")).replace(
            f"repositories/{section}", f"repositories/{name}"
        )
        for name, section in names.items()
    }
    # As epel-release brings it, in a file of its own.
    (repos / "epel.repo").write_text(sections.pop("epel"))
    (repos / "centos.repo").write_text("".join(sections.values()))
    for path in (root / "etc/os-release", root / "usr/lib/os-release"):
        path.unlink(missing_ok=True)
        path.write_text(_OS_RELEASE.format(release=release))
    (root / "etc/redhat-release").write_text(f"CentOS Stream release {release}\n")
    (root / "etc/debian_version").unlink()
    # Debian's rpm would keep its database in the user's home.
    macros = root / "etc/rpm/macros.database"
    macros.parent.mkdir(exist_ok=True)
    macros.write_text("%_dbpath /var/lib/rpm\n")
    for name in _NOT_THERE:
        (root / "usr/bin" / name).unlink(missing_ok=True)
    done.write_text(packages)
    return root


def measure(work: Path, release: str, *, handlers_alone: bool) -> int:
    """Boot the host, run all on it and provision it again; return the exit status. Inside the namespaces."""
    guests.call("ip", "link", "set", "lo", "up")
    machine = guests.Guest("guest", "127.0.0.1", 22, work)
    fresh = work / "booted"
    shutil.rmtree(fresh, ignore_errors=True)
    for part in ("up", "work", "root"):
        (fresh / part).mkdir(parents=True)
    layers = f"lowerdir={work / 'root'},upperdir={fresh / 'up'},workdir={fresh / 'work'}"
    guests.call("mount", "-t", "overlay", "overlay", "-o", layers, fresh / "root")
    words = ["systemd-nspawn", "-q", "-b", "-D", fresh / "root", "--machine=el", "--register=no", "--keep-unit"]
    words += ["--console=read-only", "--capability=all", "--system-call-filter=bpf perf_event_open"]
    log = work / "console.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [str(word) for word in words],
            env={**os.environ, "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network"},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    try:
        guests.say(f"SSH answers after {machine.wait(process, log):.1f} s")
        inventory, before = machine.write_inventory(), machine.run("rpm -qa | wc -l").strip()
        code = _without_epel(machine, inventory, work)
        if not handlers_alone:
            code = code or _two_trials(machine, inventory, work, before)
        return code or _each_handler(machine, inventory, work, release)
    finally:
        guests.end(process)


def _run(experiment: Path, inventory: Path, work: Path, *more: str) -> tuple[int, str, Path | None]:
    """Run an experiment on the host; return the exit status, what was said, and the directory of the run if any."""
    results = work / "results"
    words = (guests.REPO / "runner.py", experiment, "--target", inventory, "--results", results, "--new", *more)
    ran = subprocess.run(
        [sys.executable, *(str(word) for word in words)],
        check=False,
        cwd=guests.REPO,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    print(ran.stdout, end="", file=sys.stderr, flush=True)
    runs = sorted((results / experiment.stem).glob("2*"))
    return ran.returncode, ran.stdout, runs[-1] if runs else None


def _without_epel(machine: guests.Guest, inventory: Path, work: Path) -> int:
    """Ask for all handlers on the host without EPEL; return 0 if it says which it cannot have, and is as before."""
    look = "rpm -qa | sort | sha256sum; ls -d /var/cache/cgidlab/httpd 2>/dev/null || true"
    before = machine.run(look)
    machine.run("mv /etc/yum.repos.d/epel.repo /var/tmp/")
    code, said, _ = _run(HANDLERS, inventory, work)
    machine.run("mv /var/tmp/epel.repo /etc/yum.repos.d/")
    if code != _REFUSED or not _names(said, _OF_EPEL):
        raise guests.RigError(f"without EPEL the run ended with {code} and did not name {', '.join(_OF_EPEL)}")
    if machine.run(look) != before:
        raise guests.RigError("without EPEL something was installed or built before that was said")
    guests.say(f"without EPEL: refused with {code}, nothing installed or built")
    return 0


def _names(said: str, handlers: Sequence[str]) -> bool:
    """Say whether these handlers, and no other, are said to need what no repository has."""
    found = re.findall(r"(\w+) needs [\w, -]+which no repository", " ".join(said.split()))
    return sorted(set(found)) == sorted(handlers)


def _each_handler(machine: guests.Guest, inventory: Path, work: Path, release: str) -> int:
    """Run two trials of each handler that this release can have; return the exit status."""
    lost = el_packages.lost_handlers(release)
    more: list[str] = []
    if lost:
        code, said, _ = _run(HANDLERS, inventory, work)
        if code != _REFUSED or not _names(said, lost):
            raise guests.RigError(f"the run ended with {code} and did not name {', '.join(lost)}")
        more = ["--only", "handler=" + ",".join(name for name in SYSTEMS if name not in lost)]
    code, _, run = _run(HANDLERS, inventory, work, "--uncalibrated", *more)
    if code or run is None:
        return code or 1
    guests.say(f"run {run.name}: exit {code}")
    tools = json.loads((run / "hosts" / "guest.json").read_text())["tools"]
    for name, tool in tools.items():
        guests.say(f"  {name} {tool.get('version')}: {tool['path']}")
    servers = machine.run("rpm -qa httpd httpd-core mod_fcgid nginx").split()
    if servers:
        raise guests.RigError(f"installed, and never to be: {' '.join(servers)}")
    return _again(inventory, run)


def _two_trials(machine: guests.Guest, inventory: Path, work: Path, before: str) -> int:
    code, _, run = _run(vm.EXPERIMENT, inventory, work)
    if code or run is None:
        return code or 1
    report = json.loads((run / "hosts" / "guest.json").read_text())
    facts = report["facts"]
    guests.say(f"facts: {facts['distribution']} {facts['distribution_version']}, kernel {facts['kernel']}")
    guests.say(f"rpms: {before} before, {machine.run('rpm -qa | wc -l').strip()} after")
    httpd = report["httpd"]["distro"]
    guests.say(f"httpd: {httpd['source']}, version {httpd['version']}")
    if not httpd["source"].startswith("httpd ") or facts["distribution"] != "CentOS Stream":
        raise guests.RigError("the host was not taken for one of the family RedHat")
    guests.say(f"run {run.name}: exit {code}")
    return _again(inventory, run)


def _again(inventory: Path, run: Path) -> int:
    """Provision the host once more as the run did; return 0 if nothing was changed."""
    words = ["ansible-playbook", "-i", str(inventory), "-e", f"@{run / 'ansible/provision/vars.json'}"]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(guests.REPO / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    path = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    said = guests.call(*words, guests.REPO / "playbooks/provision.yml", env={**environment, "PATH": path})
    changed = int(re.findall(r"changed=(\d+)", said)[-1])
    guests.say(f"provisioned again: {changed} tasks changed something")
    if changed:
        print(said)
    return min(changed, 1)


def main(words: Sequence[str] | None = None) -> int:
    """Do what the command line says; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--release", choices=("9", "10"), default="9")
    parser.add_argument("--handlers", action="store_true", help="without controls and the two trials of mod_cgid")
    parser.add_argument("--make", action="store_true", help="make root and packages, and no more")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args(words)
    work = args.directory.resolve() / f"el{args.release}"
    try:
        if args.inside:
            return measure(work, args.release, handlers_alone=args.handlers)
        guests.check(PROGRAMS)
        make_el_root(work, args.release)
    except guests.RigError as err:
        print(f"error: {err}", file=sys.stderr)
        return 1
    if args.make:
        return 0
    namespaces = ("--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private")
    own = [sys.executable, "-m", "tests.rigs.el_host", "--inside", str(args.directory), "--release", args.release]
    own += ["--handlers"] if args.handlers else []
    return subprocess.run(["unshare", *namespaces, *own], cwd=guests.REPO, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
