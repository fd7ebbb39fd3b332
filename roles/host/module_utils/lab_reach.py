"""Whether what is to be fetched can be reached at all: said in seconds, with names, in place of minutes of retries."""

from __future__ import absolute_import, division, print_function

import configparser
import glob
import os
import shutil
import socket
import subprocess
import threading
import time
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from ansible.module_utils.lab_build import LabError

LIMIT_S = 8.0
_PORTS = {"http": 80, "https": 443, "ftp": 21}


def place_of(url, proxies):
    """Return (host, port) that a fetch of a URL connects to first: a proxy's where one is set; None for no network."""
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname or "$" in parts.netloc:
        return None
    proxy = proxies.get(parts.scheme, "")
    if proxy and proxy.upper() != "DIRECT" and not proxy_bypass(parts.hostname):
        parts = urlsplit(proxy if "://" in proxy else "http://" + proxy)
    return parts.hostname, parts.port or _PORTS.get(parts.scheme, 80)


def why_not(places, limit_s=LIMIT_S):
    """Return for each of these places that no connection can be made to why that is so; asks all at once."""
    said = {}

    def ask(place):
        try:
            socket.create_connection(place, limit_s).close()
            said[place] = ""
        except OSError as error:
            said[place] = error.strerror or str(error)

    threads = [threading.Thread(target=ask, args=(place,), daemon=True) for place in places]
    end = time.monotonic() + limit_s
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    silent = "no answer in %.0f s" % limit_s  # a name server may be silent for longer than a connect
    found = {place: said.get(place, silent) for place in places}
    return {place: why for place, why in found.items() if why}


def check(what, urls, proxies=None, limit_s=LIMIT_S):
    """Raise LabError with the names of what cannot be reached where that is all of these URLs; files always can be."""
    known = dict(getproxies(), **(proxies or {}))
    places = [place_of(url, known) for url in urls]
    if not places or None in places:
        return
    places = list(dict.fromkeys(places))
    lost = why_not(places, limit_s)
    if len(lost) == len(places):
        named = ", ".join("%s:%d (%s)" % (host, port, why) for (host, port), why in lost.items())
        raise LabError(
            "%s cannot be reached: %s" % (what, named),
            fix="check this host's network and name server; set a proxy for the package manager, or as https_proxy",
        )


def apt_proxies(configuration=()):
    """Return the proxies that apt uses, by scheme."""
    argv = ["apt-config", *configuration, "shell", "http", "Acquire::http::Proxy", "https", "Acquire::https::Proxy"]
    found = {}
    for line in _lines(argv):
        name, _, value = line.partition("=")
        found[name] = value.strip("'")
    return {scheme: found.get(scheme) or found.get("http", "") for scheme in ("http", "https") if found}


def package_sources():
    """Return (URLs of this machine's package sources, proxies that its package manager uses)."""
    if shutil.which("apt-get"):
        return list(dict.fromkeys(_lines(["apt-get", "indextargets", "--format", "$(SITE)"]))), apt_proxies()
    return dnf_sources()


def dnf_sources(directory="/etc/yum.repos.d", main="/etc/dnf/dnf.conf"):
    """Return (URLs of the enabled repositories, proxies), as the files have them."""
    repositories = configparser.RawConfigParser(strict=False, allow_no_value=True)
    repositories.read([main, *sorted(glob.glob(os.path.join(directory, "*.repo")))])
    urls = []
    for name in repositories.sections():
        section = repositories[name]
        if name == "main" or (section.get("enabled") or "1").strip() in ("0", "false", "no"):
            continue
        for key in ("metalink", "mirrorlist", "baseurl"):
            if section.get(key):
                urls.append(section.get(key).split()[0])
                break
    proxy = repositories.get("main", "proxy", fallback="") if repositories.has_section("main") else ""
    return urls, {scheme: proxy for scheme in ("http", "https") if proxy}


def _lines(argv):
    try:
        process = subprocess.run(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
        )
    except OSError:
        return []
    return [line for line in process.stdout.decode("utf-8", "replace").splitlines() if line]
