"""Source packages of Enterprise Linux: the only code that knows dnf, and it never touches the machine's own repos."""

from __future__ import absolute_import, division, print_function

import configparser
import functools
import os

from ansible.module_utils import lab_reach
from ansible.module_utils.lab_build import LabError, make_directory, output_of, sha256_file

PACKAGE = "httpd"
ORIGIN = "dnf"
_REPOSITORIES = "/etc/yum.repos.d"
_FORMAT = "%{version}-%{release}"


def source_repositories(files):
    """Return the text of one .repo file with the source repository of each repository the machine has enabled.

    `files` are the texts of the machine's own. A source repository is a section named like its binary one with
    -source behind it (Fedora, CentOS, Alma, Rocky) or -source-rpms (Red Hat).
    """
    everything = configparser.RawConfigParser(strict=False)
    everything.optionxform = str
    for text in files:
        everything.read_string(text)
    kept = configparser.RawConfigParser()
    kept.optionxform = str
    for name in everything.sections():
        if everything.get(name, "enabled", fallback="1") != "1":
            continue
        stem = name.removesuffix("-rpms")
        for source in (name, name + "-source", stem + "-source-rpms", stem + "-source"):
            # A repository of source packages that is enabled as it is (a local mirror) is taken too.
            if source in everything and source not in kept:
                kept[source] = dict(everything[source], enabled="1")
    lines = []
    for name in kept.sections():
        lines += ["[%s]" % name, *("%s=%s" % pair for pair in kept[name].items()), ""]
    return "\n".join(lines)


def newest_first(versions):
    """Return rpm versions (VERSION-RELEASE) in falling order, as rpm compares them."""

    def compare(one, other):
        return int(output_of(["rpm", "--eval", '%%{lua: print(rpm.vercmp("%s", "%s"))}' % (other, one)]))

    return sorted(set(versions), key=functools.cmp_to_key(compare))


def is_older(version, than):
    """Tell whether a version is older: releases count, since this distribution changes httpd by patches."""
    return version != than and newest_first([version, than])[0] == than


def installed():
    """Return the version of the installed package, None when it is not installed, or rpm is not."""
    try:
        return output_of(["rpm", "-q", "--queryformat", _FORMAT, PACKAGE])
    except LabError:
        return None


class PrivateDnf:
    """dnf with its own repositories and cache below one directory; works without root."""

    def __init__(self, directory):
        """Write the configuration from the machine's own repositories."""
        texts = []
        for name in sorted(os.listdir(_REPOSITORIES)) if os.path.isdir(_REPOSITORIES) else []:
            if name.endswith(".repo"):
                with open(os.path.join(_REPOSITORIES, name)) as file:
                    texts.append(file.read())
        repositories = source_repositories(texts)
        if not repositories:
            raise LabError(
                "no repository is enabled on this machine, so there is no source package to find",
                where=_REPOSITORIES,
                fix="enable the distribution's repositories, or use httpd: upstream:VERSION or path:TARBALL",
            )
        for name in ("", "repos", "cache", "persist"):
            make_directory(os.path.join(directory, name))
        with open(os.path.join(directory, "repos", "private.repo"), "w") as file:
            file.write(repositories)
        self.argv = [
            "dnf",
            "-q",
            "--setopt=reposdir=" + os.path.join(directory, "repos"),
            "--setopt=cachedir=" + os.path.join(directory, "cache"),
            "--setopt=system_cachedir=" + os.path.join(directory, "cache"),
            "--setopt=persistdir=" + os.path.join(directory, "persist"),
            "--setopt=logdir=" + directory,
            "--setopt=skip_if_unavailable=true",
        ]

    def versions(self):
        """Return (source versions, binary versions)."""
        urls, proxies = lab_reach.dnf_sources()
        lab_reach.check("what source packages come from", urls, proxies)
        query = ["repoquery", "--showduplicates", "--queryformat", _FORMAT + "\\n"]
        try:
            source = output_of([*self.argv, *query, "--arch", "src", PACKAGE])
            arch = output_of(["rpm", "--eval", "%{_arch}"])
            binary = output_of([*self.argv, *query, "--arch", arch, PACKAGE])
        except LabError as failure:
            raise LabError(
                "the index of source packages cannot be read: %s" % failure.what,
                fix="check the network, or use httpd: path:TARBALL",
            ) from failure
        return versions_in(source), versions_in(binary)

    def why_not(self, version):
        """Return why a version that is offered cannot be fetched, empty when dnf knows where it lies."""
        try:
            output_of([*self.argv, "download", "--source", "--url", "%s-%s" % (PACKAGE, version)])
        except LabError as failure:
            return failure.what
        return ""

    def fetch(self, version, directory):
        """Download one version's source package into a directory; LabError when it is not there."""
        argv = ["download", "--source", "--destdir", directory, "%s-%s" % (PACKAGE, version)]
        output_of([*self.argv, *argv])


def versions_in(text):
    """Return the versions of a repoquery, without repetition and without dnf's own messages."""
    words = (line.strip() for line in text.splitlines())
    return list(dict.fromkeys(word for word in words if word and word[0].isdigit() and " " not in word))


def describe(directory, version):
    """Return source, version, file and hash of a fetched source package."""
    packages = [name for name in sorted(os.listdir(directory)) if name.endswith(".src.rpm")]
    if len(packages) != 1:
        raise LabError("dnf left no source package of %s %s behind" % (PACKAGE, version), where=directory)
    path = os.path.join(directory, packages[0])
    return {
        "source": "%s %s" % (PACKAGE, version),
        "version": version,
        "unpack": "srpm",
        "path": path,
        "sha256": sha256_file(path),
    }
