"""What Enterprise Linux's packages of handlers hold, in EL's places: mod_fcgid's module, php-fpm, and uWSGI built anew.

EPEL builds uWSGI as a program that looks for plugins below /usr/lib64/uwsgi, and each plugin by itself; so it is done
here, with the release of uWSGI that EPEL 9 has. Module and php-fpm are Debian's.
"""

import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.rigs import guest as guests

TAKEN_FROM = ("libapache2-mod-fcgid", "php-fpm")
"""Debian's packages that are needed beside those that take the place of EL's."""
UWSGI = "2.0.31"
_UWSGI_INI = """\
[uwsgi]
inherit = core
bin_name = uwsgi
xml = false
json = false
yaml = embedded
pcre = false
ssl = false
embedded_plugins = corerouter, echo, ping
plugin_dir = /usr/lib64/uwsgi
"""
# In a copy of the root, where compilers and headers may come and go.
_BUILD_UWSGI = """\
export DEBIAN_FRONTEND=noninteractive
apt-get -q -y install --no-install-recommends gcc libc6-dev python3-dev
mkdir -p /usr/lib64/uwsgi
cd /src/uwsgi-*
CFLAGS=-Wno-error python3 uwsgiconfig.py --build el
CFLAGS=-Wno-error python3 uwsgiconfig.py --plugin plugins/python el python3
"""


@dataclass(frozen=True, slots=True)
class Tree:
    """What one of EL's packages holds."""

    directory: Path
    version: str
    requires: str = ""

    def files(self) -> list[Path]:
        """Return the paths of its files as the host has them, without the first slash."""
        return [path.relative_to(self.directory) for path in sorted(self.directory.rglob("*")) if path.is_file()]


def make(root: Path, place: Path) -> Mapping[str, Tree]:
    """Make the trees of those packages, of Debian's in the root's cache and of uWSGI's source, and return them."""
    shutil.rmtree(place, ignore_errors=True)
    fcgid, fcgid_version = _from_debian(root, place, "libapache2-mod-fcgid", "usr/lib/apache2/modules/mod_fcgid.so")
    php, php_version = _from_debian(root, place, "php*.*-fpm", "usr/sbin/php-fpm*")
    uwsgi, plugin = _built_uwsgi(root, place)
    return {
        # Nobody provides that here, as on a host without EL's own httpd: the package cannot be installed.
        "mod_fcgid": Tree(
            _put(fcgid, place / "mod_fcgid", "usr/lib64/httpd/modules/mod_fcgid.so"),
            fcgid_version,
            "Requires: httpd-mmn = 20120211x8664\n",
        ),
        "php-fpm": Tree(_put(php, place / "php-fpm", "usr/sbin/php-fpm"), php_version),
        "uwsgi": Tree(_put(uwsgi, place / "uwsgi", "usr/sbin/uwsgi"), UWSGI),
        "uwsgi-plugin-python3": Tree(
            _put(plugin, place / "uwsgi-plugin-python3", "usr/lib64/uwsgi/python3_plugin.so"),
            UWSGI,
            f"Requires: uwsgi = {UWSGI}\n",
        ),
    }


def _put(source: Path, tree: Path, path: str) -> Path:
    target = tree / path
    target.parent.mkdir(parents=True)
    shutil.copy2(source, target)
    return tree


def _from_debian(root: Path, place: Path, package: str, path: str) -> tuple[Path, str]:
    """Return a file of a package that was downloaded, and the package's version without Debian's part."""
    archive = next((root / "var/cache/apt/archives").glob(f"{package}_*.deb"))
    unpacked = place / archive.stem
    unpacked.mkdir(parents=True)
    guests.call("dpkg-deb", "-x", archive, unpacked)
    version = guests.call("dpkg-deb", "--field", archive, "Version").strip()
    return next(unpacked.glob(path)), version.rpartition(":")[2].partition("-")[0]


def _built_uwsgi(root: Path, place: Path) -> tuple[Path, Path]:
    """Return the program and its plugin for Python, built in a copy of the root that is thrown away."""
    guests.say(f"building uWSGI {UWSGI} as EPEL does")
    fresh, layers = place / "machine", place / "layers"
    for part in (fresh, layers / "up", layers / "work"):
        part.mkdir(parents=True)
    words = ("download", "-q", "--no-deps", "--no-binary", ":all:", "--dest", place, f"uwsgi=={UWSGI}")
    guests.call(sys.executable, "-m", "pip", *words)
    options = f"lowerdir={root},upperdir={layers / 'up'},workdir={layers / 'work'}"
    guests.call("mount", "-t", "overlay", "overlay", "-o", options, fresh)
    try:
        source = fresh / "src"
        source.mkdir()
        guests.call("tar", "-xf", next(place.glob("[uU]*-*.tar.gz")), "-C", source)
        (unpacked,) = source.iterdir()
        unpacked = unpacked.rename(source / f"uwsgi-{UWSGI}")
        (unpacked / "buildconf/el.ini").write_text(_UWSGI_INI)
        guests.call(guests.FRESH_MACHINE, "shell", fresh, f"set -e\n{_BUILD_UWSGI}")
        built = (unpacked / "uwsgi", fresh / "usr/lib64/uwsgi/python3_plugin.so")
        kept = (place / "built" / built[0].name, place / "built" / built[1].name)
        kept[0].parent.mkdir()
        for source, target in zip(built, kept, strict=True):
            shutil.copy2(source, target)
        return kept
    finally:
        guests.call("umount", fresh)
