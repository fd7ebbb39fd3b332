"""Source packages of Debian and Ubuntu: the only code that knows apt, and it never touches the machine's own apt."""

from __future__ import absolute_import, division, print_function

import functools
import os
import re
import shutil
import subprocess
import tempfile

from ansible.module_utils import lab_reach
from ansible.module_utils.lab_build import LabError, first_error, make_directory, output_of, sha256_file

PACKAGE = "apache2"
ORIGIN = "apt"
_GENERIC = ("stable", "oldstable", "oldoldstable", "testing", "unstable", "sid", "experimental")
_ONE_LINE = re.compile(r"^deb(?:-src)?\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)(?P<rest>.*)$")


def parse_deb822(text):
    """Return the stanzas of a .sources file as lists of (name, value); continuation lines are kept in the value."""
    stanzas = [[]]
    for line in text.splitlines():
        if not line.strip():
            stanzas.append([])
        elif line.startswith("#"):
            continue
        elif line[0] in " \t" and stanzas[-1]:
            name, value = stanzas[-1][-1]
            stanzas[-1][-1] = (name, value + "\n" + line)
        else:
            name, _, value = line.partition(":")
            stanzas[-1].append((name.strip(), value.strip()))
    return [stanza for stanza in stanzas if stanza]


def belongs(suite, codename):
    """Tell whether a suite is the distribution's own: its code name or a generic name, with or without a pocket."""
    return any(suite == name or suite.startswith((name + "-", name + "/")) for name in (codename, *_GENERIC) if name)


def siblings(suite, codename):
    """Return the suites of the same archive that may hold a source where the machine's own suite holds none.

    Not each archive has them all: those it lacks are to be passed over.
    """
    names = [name for name in ("oldstable", "stable", "testing") if name != suite]
    if "security" in suite:
        return [name + "-security" for name in names]
    return [codename + "-updates", codename + "-backports", *names, "unstable", "devel"]


def source_stanzas(files, codename, *, wide=False):
    """Return deb822 text with a deb-src stanza for each of the machine's entries that is the distribution's own.

    `files` are (name, text) of the machine's .list and .sources files. Third parties' entries are left out: they
    offer no source of httpd, and one that fails must not stop the others. `wide` takes the siblings instead.
    """
    found = []
    for name, text in files:
        stanzas = parse_deb822(text) if name.endswith(".sources") else _one_line_stanzas(text)
        for stanza in stanzas:
            values = {key.lower(): value for key, value in stanza}
            if values.get("enabled", "yes").lower() in ("no", "false", "0"):
                continue
            suites = [suite for suite in values.get("suites", "").split() if belongs(suite, codename)]
            if wide:
                suites = list(dict.fromkeys(other for suite in suites for other in siblings(suite, codename)))
            if not suites:
                continue
            kept = [(k, v) for k, v in stanza if k.lower() not in ("types", "suites", "architectures", "enabled")]
            lines = ["Types: deb-src", "Suites: " + " ".join(suites)] + ["%s: %s" % pair for pair in kept]
            found.append("\n".join(lines) + "\n")
    return "\n".join(dict.fromkeys(found))


def _one_line_stanzas(text):
    for line in text.splitlines():
        match = _ONE_LINE.match(line.split("#")[0].strip())
        if match is None:
            continue
        stanza = [("URIs", match.group("uri")), ("Suites", match.group("suite"))]
        if match.group("rest").split():
            stanza.append(("Components", " ".join(match.group("rest").split())))
        for option in (match.group("options") or "").split():
            key, _, value = option.partition("=")
            if key.lower() in ("signed-by", "trusted", "check-valid-until"):
                stanza.append((key.title(), value.replace(",", " ")))
        yield stanza


def parse_madison(text):
    """Return (versions offered as source, versions offered as binary) of `apt-cache madison`, without repetition."""
    source, binary = [], []
    for line in text.splitlines():
        _package, _, rest = line.partition("|")
        version, bar, index = rest.partition("|")
        if bar:
            (source if index.rstrip().endswith("Sources") else binary).append(version.strip())
    return list(dict.fromkeys(source)), list(dict.fromkeys(binary))


def newest_first(versions):
    """Return Debian versions in falling order, as dpkg compares them."""

    def compare(one, other):
        argv = ["dpkg", "--compare-versions", one, "gt", other]
        return -1 if subprocess.call(argv) == 0 else 1

    return sorted(set(versions), key=functools.cmp_to_key(compare))


def is_older(version, than):
    """Tell whether a version is of an older httpd, whatever the package's revisions: those are the same program."""

    def upstream(text):
        return re.sub(r"[+~].*", "", text.partition(":")[2] or text).split("-")[0]

    argv = ["dpkg", "--compare-versions", upstream(version), "lt", upstream(than)]
    return subprocess.call(argv) == 0


def installed():
    """Return the version of the installed package, None when it is not installed, or dpkg is not."""
    try:
        text = output_of(["dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", PACKAGE + "-bin"])
    except LabError:
        return None
    state, _, version = text.partition(" ")
    return version if state == "installed" else None


def machine_files(root="/etc/apt"):
    """Return (name, text) of the machine's own package sources."""
    parts = os.path.join(root, "sources.list.d")
    names = [os.path.join(root, "sources.list")]
    names += [os.path.join(parts, name) for name in sorted(os.listdir(parts))] if os.path.isdir(parts) else []
    found = []
    for name in names:
        if name.endswith((".list", ".sources")) and os.path.isfile(name):
            with open(name) as file:
                found.append((name, file.read()))
    return found


def codename(path="/etc/os-release"):
    with open(path) as file:
        found = re.search(r'^VERSION_CODENAME="?([\w.-]+)', file.read(), re.MULTILINE)
    return found.group(1) if found else ""


class PrivateApt:
    """apt with its own sources, lists and cache below one directory; works without root."""

    def __init__(self, directory, *, wide=False):
        """Write the configuration; LabError when the machine has no package source to derive it from."""
        stanzas = source_stanzas(machine_files(), codename(), wide=wide)
        if not stanzas:
            raise LabError(
                "this machine's apt has no entry of the distribution itself, so there is no source package to find",
                where="/etc/apt/sources.list, /etc/apt/sources.list.d",
                fix="add the distribution's entries, or use httpd: upstream:VERSION or path:TARBALL",
            )
        for name in ("", "lists/partial", "cache/archives/partial", "parts"):
            make_directory(os.path.join(directory, name))
        self.wide = wide
        self.configuration = os.path.join(directory, "apt.conf")
        with open(os.path.join(directory, "private.sources"), "w") as file:
            file.write(stanzas)
        with open(self.configuration, "w") as file:
            # Hooks of the machine (docker-clean, command-not-found) would want to write where only root may.
            file.write(
                "#clear APT::Update::Pre-Invoke;\n#clear APT::Update::Post-Invoke;\n"
                "#clear APT::Update::Post-Invoke-Success;\n"
                'Dir::Etc::SourceList "%(d)s/private.sources";\nDir::Etc::SourceParts "%(d)s/parts";\n'
                'Dir::State::Lists "%(d)s/lists";\nDir::Cache "%(d)s/cache";\n'
                'Acquire::Languages "none";\nAcquire::Retries "2";\nAcquire::http::Timeout "30";\n'
                # The directories are this user's; the sandbox user could not write to them.
                'APT::Sandbox::User "";\n' % {"d": directory}
            )

    def versions(self):
        """Return (source versions, binary versions) after reading the newest index."""
        configuration = ("-c", self.configuration)
        sites = output_of(["apt-get", *configuration, "indextargets", "--format", "$(SITE)"]).split()
        lab_reach.check(
            "what source packages come from", list(dict.fromkeys(sites)), lab_reach.apt_proxies(configuration)
        )
        try:
            output_of(["apt-get", "-c", self.configuration, "-q", "update"])
        except LabError as failure:
            # Siblings are guesses: those that are not there say so, and the others are read all the same.
            if not self.wide:
                raise LabError(
                    "the index of source packages cannot be read: %s" % failure.what,
                    fix="check the network, or use httpd: path:TARBALL",
                ) from failure
        source = parse_madison(output_of(["apt-cache", "-c", self.configuration, "madison", PACKAGE]))[0]
        binary = parse_madison(output_of(["apt-cache", "madison", PACKAGE]))[1]
        return source, binary

    def why_not(self, version):
        """Return why a version that is offered cannot be fetched, empty when its .dsc can: indexes outlive packages."""
        directory = tempfile.mkdtemp(prefix="cgidlab-dsc-")
        try:
            self.fetch(version, directory, "--dsc-only")
        except LabError as failure:
            return failure.what
        finally:
            shutil.rmtree(directory, ignore_errors=True)
        return ""

    def fetch(self, version, directory, *options):
        """Download one version's source package into a directory; LabError when a part of it is not there."""
        base = ["apt-get", "-c", self.configuration, "-q", "--download-only", *options]
        argv = [*base, "source", "%s=%s" % (PACKAGE, version)]
        process = subprocess.run(
            argv,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(os.environ, LC_ALL="C"),
            check=False,
        )
        if process.returncode != 0:
            lines = process.stdout.decode("utf-8", "replace").splitlines()
            errors = [line[len("E: ") :] for line in lines if line.startswith("E: ")]
            raise LabError((errors or [first_error("\n".join(lines))])[0])


def describe(directory, version):
    """Return source, version, files and hash of a fetched source package; its .dsc names the sums of the others."""
    dsc = [name for name in sorted(os.listdir(directory)) if name.endswith(".dsc")]
    if len(dsc) != 1:
        raise LabError("apt left no source package of %s %s behind" % (PACKAGE, version), where=directory)
    path = os.path.join(directory, dsc[0])
    return {
        "source": "%s %s" % (PACKAGE, version),
        "version": version,
        "unpack": "dsc",
        "path": path,
        "sha256": sha256_file(path),
    }
