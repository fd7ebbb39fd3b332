"""Releases of the Apache project: the only code that downloads and verifies them."""

from __future__ import absolute_import, division, print_function

import os
import re
import shutil
import socket
import subprocess
import tempfile
import urllib.error
import urllib.request

from ansible.module_utils import lab_reach
from ansible.module_utils.lab_build import LabError, sha256_file

_TIMEOUT_S = 60
_SHA256_DIGITS = 64


def checksum_in(text, name):
    """Return the SHA-256 a .sha256 file gives for a file, in both forms the project has published; None if none."""
    joined = " ".join(text.split())
    plain = re.search(r"\b([0-9a-fA-F]{64})\b\s+\*?(?:\S*/)?" + re.escape(name), joined)
    if plain:
        return plain.group(1).lower()
    labelled = re.search(re.escape(name) + r"\)?\s*[:=]\s*((?:[0-9a-fA-F]{2,8}\s*){8,32})", joined)
    if labelled:
        digits = re.sub(r"\s", "", labelled.group(1)).lower()
        return digits if len(digits) == _SHA256_DIGITS else None
    alone = re.fullmatch(r"[0-9a-fA-F]{64}", joined)
    return joined.lower() if alone else None


def signer_in(status):
    """Return the primary key's fingerprint of a valid signature in gpg's status output, None when there is none.

    A revoked key's signature does not count; that of a key which has expired since does, as old releases have it.
    """
    if re.search(r"^\[GNUPG:\] (BADSIG|ERRSIG|REVKEYSIG|EXPSIG)", status, re.MULTILINE):
        return None
    found = re.search(r"^\[GNUPG:\] VALIDSIG (\S+)(?: \S+){8}(?: (\S+))?", status, re.MULTILINE)
    return (found.group(2) or found.group(1)) if found else None


def download(url, path):
    """Download a URL to a path; LabError when that is not possible."""
    lab_reach.check("the archive of releases", [url])
    try:
        # A file: URL is as good: what is fetched is verified.
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer, open(path, "wb") as file:  # noqa: S310 -- as said
            shutil.copyfileobj(answer, file)
    except (urllib.error.URLError, socket.timeout, ValueError, ConnectionError) as error:
        raise LabError(
            "cannot be downloaded: %s (%s)" % (url, error),
            fix="check version, network and build_mirror, or use httpd: path:TARBALL",
        ) from error


def verify_signature(archive, signature, keys):
    """Return the fingerprint that signed an archive; LabError when the signature is not valid by one of the keys."""
    gpg = shutil.which("gpg") or shutil.which("gpg2")
    if gpg is None:
        raise LabError("the signature cannot be verified: gpg is not installed", fix="let the play install it (become)")
    # A home of its own, short because gpg makes sockets in it: the user's key ring must not vouch for anything.
    home = tempfile.mkdtemp(prefix="cgidlab-gpg-")
    base = [gpg, "--batch", "--no-tty", "--no-autostart", "--homedir", home, "--status-fd", "1"]
    try:
        subprocess.run([*base, "--import", keys], stdin=subprocess.DEVNULL, capture_output=True, check=False)
        process = subprocess.run(
            [*base, "--verify", signature, archive], stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
    finally:
        shutil.rmtree(home, ignore_errors=True)
    fingerprint = signer_in(process.stdout.decode("utf-8", "replace"))
    if process.returncode != 0 or fingerprint is None:
        lines = process.stderr.decode("utf-8", "replace").strip().splitlines()
        raise LabError(
            "the signature of %s is not valid by any of the project's keys: %s"
            % (os.path.basename(archive), lines[-1] if lines else "gpg said nothing"),
            fix="do not use this file; try again, or another mirror",
        )
    return fingerprint


def fetch_upstream(version, directory, mirror):
    """Download and verify one release into a directory and return its description."""
    name = "httpd-%s.tar.gz" % version
    paths = {}
    for wanted in (name, name + ".sha256", name + ".asc", "KEYS"):
        paths[wanted] = os.path.join(directory, wanted)
        download("%s/%s" % (mirror.rstrip("/"), wanted), paths[wanted])
    with open(paths[name + ".sha256"]) as file:
        want = checksum_in(file.read(), name)
    found = sha256_file(paths[name])
    if want != found:
        raise LabError(
            "%s does not have the checksum its publisher gives: want %s, found %s" % (name, want, found),
            where="%s/%s" % (mirror, name),
            fix="do not use this file; try again, or another mirror",
        )
    signer = verify_signature(paths[name], paths[name + ".asc"], paths["KEYS"])
    return {
        "source": "upstream %s, signed by %s" % (version, signer),
        "version": version,
        "unpack": "tar",
        "path": paths[name],
        "sha256": found,
        "skipped": [],
    }
