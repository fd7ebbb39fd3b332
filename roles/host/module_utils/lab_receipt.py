"""What an earlier provisioning found, and whether that still holds: the only code that decides so.

A receipt is written after everything a plan needs was found or built. It holds as long as nothing that it
rests on has another size or time: the files it names, the sources, the package databases and lists of sources. Its key
covers what was asked for; whoever asks for something else, or with other roles, finds none.
"""

from __future__ import absolute_import, division, print_function

import os
import re

from ansible.module_utils.lab_build import LabError, make_directory, read_json, write_json

_KEPT = 16  # receipts: a key for each plan and state of the roles
_KEY = re.compile(r"[0-9a-f]{64}")
# What a package manager writes whenever something is installed, removed or offered.
DATABASES = (
    "/var/lib/dpkg/status",
    "/var/lib/rpm",
    "/usr/lib/sysimage/rpm",
    "/var/lib/apt/lists",
    "/var/cache/dnf",
    "/etc/apt",
    "/etc/yum.repos.d",
)
# rpm keeps its database in SQLite. Whoever only reads it writes to the index, in shared memory, and as root sets whose
# the journal is: that is as new as its content.
_INDEX, _JOURNAL = "-shm", "-wal"


def path_of(cache, key):
    """Return where a receipt of this key lies. LabError for what is no key."""
    if not _KEY.fullmatch(key):
        raise LabError("%r is no key of a receipt" % key)
    return os.path.join(cache, "receipts", "%s.json" % key)


def held(cache, key, databases=DATABASES):
    """Return what the receipt of this key says, None when there is none or something it rests on has changed."""
    receipt = read_json(path_of(cache, key))
    if not isinstance(receipt, dict) or receipt.get("schema_version") != 1:
        return None
    content = receipt.get("content")
    return content if content and receipt.get("rests_on") == evidence(cache, content, databases) else None


def keep(cache, key, content, databases=DATABASES):
    """Write a receipt; return whether that changed anything. The oldest beyond a few are removed."""
    path = path_of(cache, key)
    receipt = {"schema_version": 1, "content": content, "rests_on": evidence(cache, content, databases)}
    if read_json(path) == receipt:
        return False
    directory = os.path.dirname(path)
    make_directory(directory)
    write_json(path, receipt)
    found = [os.path.join(directory, name) for name in os.listdir(directory) if name.endswith(".json")]
    for old in sorted(found, key=os.path.getmtime, reverse=True)[_KEPT:]:
        os.unlink(old)
    return True


def evidence(cache, content, databases=DATABASES):
    """Return the stamp of everything that a receipt of this content rests on, by path."""
    # What a name such as `distro` means is kept beside the sources, and changes when they are refreshed.
    sources = os.path.join(cache, "sources")
    return {path: stamp(path) for path in [*databases, sources, *sorted(set(_paths(content)))]}


def _paths(value):
    if isinstance(value, dict):
        for inner in value.values():
            yield from _paths(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _paths(inner)
    elif isinstance(value, str) and value.startswith("/"):
        yield value


def stamp(path):
    """Return [entries, bytes, newest time in ns] of a file or of all below a directory; None for what is not there."""
    try:
        found = [(path, os.stat(path))]
        for place, directories, names in os.walk(path):
            below = [os.path.join(place, name) for name in (*directories, *names) if not name.endswith(_INDEX)]
            found += [(one, os.lstat(one)) for one in below]
    except (OSError, ValueError):
        return None
    newest = max(s.st_mtime_ns if one.endswith(_JOURNAL) else max(s.st_mtime_ns, s.st_ctime_ns) for one, s in found)
    return [len(found), sum(s.st_size for _one, s in found), newest]
