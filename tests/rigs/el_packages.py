"""A repository of rpms for a host of Enterprise Linux's shape: Debian's packages in EL's names, and a source of httpd.

Each Debian package that a role's EL package stands for becomes an rpm with its files; a package in EL's name requires
them. What is no package of its own in Debian, or is in the root already, is an empty one. What EL has in places of its
own lies in those (`el_handlers`). The source package holds the tarball of httpd that Debian distributes, a patch and a
spec of ours in EL's layout.
"""

import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.rigs import el_handlers
from tests.rigs import guest as guests

# EL's name: Debian's packages
DEBIAN = {
    "apr-devel": ["libapr1-dev"],
    "apr-util-devel": ["libaprutil1-dev"],
    "ca-certificates": [],
    "cpio": ["cpio"],
    "dnf-plugins-core": [],
    "expat-devel": ["libexpat1-dev"],
    "fcgiwrap": ["fcgiwrap"],
    "gcc": ["gcc"],
    "glibc-devel": ["libc6-dev"],
    "gnupg2": ["gpg"],
    "httpd-tools": ["apache2-utils"],
    "iproute": [],
    "libxcrypt-devel": ["libcrypt-dev"],
    "make": ["make"],
    "mod_fcgid": [],
    "nghttp2": ["nghttp2-client"],
    "patch": ["patch"],
    "pcre2-devel": ["libpcre2-dev"],
    "php-fpm": ["php-fpm"],
    "php-opcache": ["php-opcache"],
    "python3-gunicorn": ["gunicorn"],
    "redhat-rpm-config": [],
    "rpm-build": [],
    "strace": ["strace"],
    "tar": [],
    "util-linux": [],
    "uwsgi": ["uwsgi-core"],
    "uwsgi-plugin-python3": ["uwsgi-plugin-python3"],
}
# Where EL has them: what is in none of these is in the repository that is always on.
OPTIONAL = {
    "apr-devel": "crb",
    "apr-util-devel": "crb",
    "nghttp2": "crb",
    "fcgiwrap": "epel",
    "python3-gunicorn": "epel",
    "uwsgi": "epel",
    "uwsgi-plugin-python3": "epel",
}
# What no list of that release's repositories names.
ABSENT: Mapping[str, Sequence[str]] = {"9": (), "10": ("fcgiwrap",)}
# Of these what they need alone: they come in EL's places, and Debian's beside them would be found first.
_OWN_PLACES = ("uwsgi-core", "uwsgi-plugin-python3")
_MACROS = {
    "debug_package": "%{nil}",
    "__os_install_post": "%{nil}",
    "_build_id_links": "none",
    "_binary_payload": "w1.gzdio",
    "_source_payload": "w1.gzdio",
}
_SPEC = """\
Name: {name}
Version: {version}
Release: {release}
Summary: {summary}
License: as in Debian
AutoReqProv: no
{requires}
%description
{summary}.
%install
mkdir -p %{{buildroot}}
{install}
%files {files}
"""
_HTTPD_SPEC = """\
Name: httpd
Version: {version}
Release: 1.el{release}
Summary: Apache HTTP Server
License: ASL 2.0
Source0: {tarball}
Patch0: httpd-distribution.patch
BuildRequires: gcc, make, apr-devel, apr-util-devel, pcre2-devel
%description
The Apache HTTP Server.
%prep
%setup -q
%patch -P0 -p1
%build
./configure --prefix=%{{_sysconfdir}}/httpd --enable-mpms-shared=all
make
%install
make DESTDIR=%{{buildroot}} install
%files
%{{_sysconfdir}}/httpd
"""
# As a distribution's patches do, it changes a file of the source; the build shows whether it was applied.
_PATCH = """\
--- a/modules/generators/mod_cgid.c
+++ b/modules/generators/mod_cgid.c
@@ -1,1 +1,2 @@
+/* patched by the distribution */
{first}
"""


def wanted() -> list[str]:
    """Return every package that the roles name for the family RedHat; raise `RigError` for one that is unknown here."""
    names = set(_named())
    unknown = names - set(DEBIAN)
    if unknown:
        raise guests.RigError(f"tests/rigs/el_packages.py knows no packages of Debian for {', '.join(sorted(unknown))}")
    return sorted(names)


def _named() -> Iterator[str]:
    yield from _variables("host/vars/RedHat.yml")["__host_packages"]
    drivers = _variables("load/vars/main.yml")["__load_package_names"]["RedHat"].values()
    instruments = [about["RedHat"] for about in _variables("instruments/vars/main.yml")["__instruments_known"].values()]
    handlers = _variables("systems/vars/main.yml")["__systems_known"].values()
    modules = [about["module"]["RedHat"] for about in handlers if "module" in about]
    for one in (*drivers, *instruments, *(about["RedHat"] for about in handlers), *modules):
        yield from [one] if isinstance(one, str) else one


def lost_handlers(release: str) -> list[str]:
    """Return the handlers that a release cannot have, as the roles name their packages."""
    known = _variables("systems/vars/main.yml")["__systems_known"]
    return sorted(name for name, about in known.items() if set(about["RedHat"]) & set(ABSENT[release]))


def _variables(path: str) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((guests.REPO / "roles" / path).read_text())
    return values


def make_repositories(root: Path, work: Path, release: str) -> dict[str, Path]:
    """Make the repositories with what is missing in a Debian root, and return their directories by name."""
    top, repositories = work / "rpmbuild", work / "repositories"
    places = {name: repositories / name for name in ("baseos", "crb", "epel", "appstream-source")}
    _update(root)
    done = work / "rpms.done"
    if not done.exists():
        for place in (top, *places.values()):
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(parents=True)
        _binary_packages(root, top, places, release)
        done.touch()
    _source_package(root, top, places["appstream-source"], release)
    for place in places.values():
        guests.call("createrepo_c", "-q", place)
    return places


def _binary_packages(root: Path, top: Path, places: Mapping[str, Path], release: str) -> None:
    names = [name for name in wanted() if name not in ABSENT[release]]
    closures = {name: _closure(root, DEBIAN[name]) for name in names}
    everything = sorted({debian for closure in closures.values() for debian in closure})
    guests.say(f"making rpms of {len(everything)} packages of Debian")
    _download(root, [*everything, *el_handlers.TAKEN_FROM])
    for debian in everything:
        _repack(root, debian, top, places["baseos"])
    own = el_handlers.make(root, top / "own")
    for name, closure in closures.items():
        requires = "".join(f"Requires: {_rpm_name(debian)}\n" for debian in closure)
        tree = own.get(name)
        text = _SPEC.format(
            name=name,
            version=1 if tree is None else tree.version,
            release=f"1.el{release}",
            summary=name,
            requires=requires + ("" if tree is None else tree.requires),
            install="" if tree is None else f"cp -a {tree.directory}/. %{{buildroot}}",
            files="" if tree is None else "\n" + "\n".join(f"/{path}" for path in tree.files()),
        )
        _build("-bb", text, top, places[OPTIONAL.get(name, "baseos")])


def _update(root: Path) -> None:
    """Have apt in the root know the archive's packages and their sources."""
    lines = (root / "etc/apt/sources.list").read_text().splitlines()
    sources = "".join(f"deb-src{line.removeprefix('deb')}\n" for line in lines if line.startswith("deb "))
    (root / "etc/apt/sources.list.d/source.list").write_text(sources)
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    guests.call("chroot", root, "apt-get", "-q", "update")


def _closure(root: Path, packages: Sequence[str]) -> list[str]:
    """Return what Debian would install for some packages, beside what is in the root."""
    if not packages:
        return []
    planned = guests.call("chroot", root, "apt-get", "-s", "-q", "install", "--no-install-recommends", *packages)
    names = {line.split()[1] for line in planned.splitlines() if line.startswith("Inst ")}
    return sorted(names - set(_OWN_PLACES))


def _download(root: Path, packages: Iterable[str]) -> None:
    guests.call("chroot", root, "apt-get", "-q", "-y", "-d", "install", "--no-install-recommends", *packages)


def _rpm_name(debian: str) -> str:
    return f"debian-{debian.replace('+', 'plus')}"


def _repack(root: Path, debian: str, top: Path, place: Path) -> None:
    """Make an rpm with the files of one Debian package."""
    tree = top / "trees" / debian
    tree.mkdir(parents=True)
    guests.call("dpkg-deb", "-x", next((root / "var/cache/apt/archives").glob(f"{debian}_*.deb")), tree)
    # The root's own bin, lib and sbin are links into usr, through which an rpm must not reach.
    for name in ("bin", "sbin", "lib", "lib64"):
        if (tree / name).is_dir():
            shutil.copytree(tree / name, tree / "usr" / name, symlinks=True, dirs_exist_ok=True)
            shutil.rmtree(tree / name)
    files = [p for p in sorted(tree.rglob("*")) if p.is_symlink() or not p.is_dir()]
    listed = top / f"{debian}.files"
    listed.write_text("".join(f'"/{path.relative_to(tree)}"\n' for path in files))
    text = _SPEC.format(
        name=_rpm_name(debian),
        version=1,
        release=1,
        summary=f"{debian} of Debian",
        requires="",
        install=f"cp -a {tree}/. %{{buildroot}}",
        files=f"-f {listed}" if files else "",
    )
    _build("-bb", text, top, place)
    shutil.rmtree(tree)


def _build(how: str, spec: str, top: Path, place: Path) -> None:
    path = top / f"{spec.splitlines()[0].removeprefix('Name: ')}.spec"
    path.write_text(spec)
    macros = {**_MACROS, "_topdir": str(top), "_rpmdir": str(place), "_srcrpmdir": str(place)}
    defines = [word for name, value in macros.items() for word in ("--define", f"{name} {value}")]
    guests.call("rpmbuild", "--quiet", "--nodeps", *defines, how, path)


def _source_package(root: Path, top: Path, place: Path, release: str) -> None:
    """Make httpd's source package of the tarball that Debian distributes."""
    fetched = root / "var/tmp/source"
    fetched.mkdir(exist_ok=True)
    # The newest may lack its source on a mirror.
    listed = guests.call("chroot", root, "apt-cache", "showsrc", "--only-source", "apache2")
    versions = [line.split()[1] for line in listed.splitlines() if line.startswith("Version:")]
    argv = "cd /var/tmp/source && apt-get -q source --download-only apache2="
    tries = (subprocess.run(["chroot", root, "sh", "-c", argv + version], check=False) for version in versions)
    if not any(ran.returncode == 0 for ran in tries):
        raise guests.RigError(f"no source of apache2 can be fetched: {', '.join(versions) or 'none is listed'}")
    original = next(p for p in fetched.glob("apache2_*.orig.tar.*") if p.suffix != ".asc")
    version = original.name.removeprefix("apache2_").partition(".orig")[0]
    tree = top / "httpd"
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir()
    guests.call("tar", "-xf", original, "-C", tree)
    (unpacked,) = tree.iterdir()
    unpacked.rename(tree / f"httpd-{version}")
    (top / "SOURCES").mkdir(exist_ok=True)
    tarball = f"httpd-{version}.tar.gz"
    # The time stamps are kept: with others make would regenerate files and ask for bison.
    guests.call("tar", "-czf", top / "SOURCES" / tarball, "-C", tree, f"httpd-{version}")
    source = (tree / f"httpd-{version}" / "modules/generators/mod_cgid.c").read_text(encoding="latin-1")
    (top / "SOURCES/httpd-distribution.patch").write_text(_PATCH.format(first=" " + source.splitlines()[0]))
    _build("-bs", _HTTPD_SPEC.format(version=version, release=release, tarball=tarball), top, place)
