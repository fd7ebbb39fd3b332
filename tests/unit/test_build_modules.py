"""The pure parts of the modules that fetch and build: what they decide, without a host."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests import waiting
from tests.role_code import ROLES, module, utility

lab_build = utility("lab_build")
lab_confined = utility("lab_confined")
lab_source_apt = utility("lab_source_apt")
lab_source_distro = utility("lab_source_distro")
lab_source_dnf = utility("lab_source_dnf")
lab_source_local = utility("lab_source_local")
lab_source_upstream = utility("lab_source_upstream")
httpd_source = module("build", "httpd_source")
httpd_build = module("build", "httpd_build")
cgid_variants = module("cgid", "cgid_variants")
host_survey = module("host", "host_survey")
host_tools = module("host", "host_tools")
LabError = lab_build.LabError


# --- lab_build -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "want"),
    [
        pytest.param("checking\nx.c:3:10: fatal error: apr.h: No such file\nmake: *** [x] Error 1\n",
                     "x.c:3:10: fatal error: apr.h: No such file", id="header"),
        pytest.param("note\nconfigure: error: pcre2-config for libpcre not found.\n",
                     "configure: error: pcre2-config for libpcre not found.", id="configure"),
        pytest.param("ld: a.o: undefined reference to `f'\n", "ld: a.o: undefined reference to `f'", id="linker"),
        pytest.param("make: *** No rule for 'y'.  Stop.\n", "make: *** No rule for 'y'.  Stop.", id="make"),
        pytest.param("mod_error_log.c compiled\nlast words\n", "last words", id="no line speaks of an error"),
        pytest.param("", "no output", id="nothing"),
    ],
)  # fmt: skip
def test_the_first_line_that_says_what_went_wrong_is_shown(output: str, want: str) -> None:
    assert lab_build.first_error(output) == want


def test_a_full_disk_says_what_to_free_and_where() -> None:
    failure = lab_build.from_os_error(OSError(errno.ENOSPC, "No space left on device", "/cache/x"), "building httpd")

    assert "disk is full while building httpd" in failure.what
    assert failure.where == "/cache/x"
    assert "host_cache_dir" in failure.fix


def test_equal_values_have_equal_keys_whatever_the_order_of_their_names() -> None:
    assert lab_build.key_of({"a": 1, "b": [2]}) == lab_build.key_of({"b": [2], "a": 1})
    assert lab_build.key_of({"a": 1, "b": [2]}) != lab_build.key_of({"a": 1, "b": [3]})


def built_variant(sha256: str | None, **settings: object) -> dict[str, object]:
    return {"patches": "", "attempts": 15, **settings, "path": "/m.so", "sha256": sha256}


def test_two_variants_that_are_one_module_are_refused_with_what_does_nothing() -> None:
    """The compiler takes no notice of a macro that a version does not guard, and each level would measure the same."""
    same = {"a": {"variants": [built_variant("1", attempts=0), built_variant("2"), built_variant("1", attempts=5)]}}

    with pytest.raises(LabError) as found:
        cgid_variants.check_distinct(same, {"a": "2.4.9"})

    assert found.value.what == "mod_cgid of httpd 2.4.9 is the same module with attempts=0 and with attempts=5"
    assert "they differ in attempts and compile to the same code" in found.value.fix


def test_variants_that_differ_and_those_of_other_builds_are_no_trouble() -> None:
    differing = {
        "a": {"variants": [built_variant("1"), built_variant("2", attempts=5)]},
        "b": {"variants": [built_variant("1", attempts=0)]},
        "not compiled, in check mode": {"variants": [built_variant(None), built_variant(None, attempts=5)]},
    }

    cgid_variants.check_distinct(differing, dict.fromkeys(differing, "2.4.9"))


def test_a_build_that_fails_leaves_its_logs_and_nothing_a_later_run_would_trust(tmp_path: Path) -> None:
    directory = tmp_path / "httpd" / "0123"

    def build() -> None:
        with lab_build.building(str(directory)) as (lock, done):
            assert done is None
            (directory / "half").write_text("an object file")
            argv = ["sh", "-c", "echo x.c:1: error: no; exit 3"]
            lab_build.run_step("make", argv, str(directory), str(directory), lock)

    with pytest.raises(LabError, match=r"make failed with exit status 3: x\.c:1: error: no") as caught:
        build()

    assert not directory.exists()
    assert Path(caught.value.where).read_text() == "x.c:1: error: no\n"


def test_what_a_killed_build_left_behind_is_thrown_away_before_the_next(tmp_path: Path) -> None:
    directory = tmp_path / "httpd" / "0123"
    (directory / "prefix").mkdir(parents=True)
    (directory / "build.json").write_text('{"torn": ')

    with lab_build.building(str(directory)) as (_lock, done):
        found = list(directory.iterdir())
        lab_build.write_json(str(directory / "build.json"), {"whole": True})

    assert done is None
    assert found == []
    assert lab_build.finished(str(directory)) == {"whole": True}


def test_a_module_that_hangs_ends_with_whoever_reads_it_and_so_does_what_it_started() -> None:
    """As on a host whose connection is gone: git waits for ever, and nobody is left to end it."""
    code = (
        "import importlib, sys\n"
        "importlib.import_module('ansible.module_utils').__path__.append(sys.argv[1])\n"
        "from ansible.module_utils import lab_build\n"
        "lab_build.set_sane_umask()\n"
        "print('begun', flush=True)\n"
        "lab_build.output_of(['sh', '-c', 'echo $$ >&2; exec sleep 300', 'sh'])\n"
    )
    argv = [sys.executable, "-c", code, str(ROLES / "host/module_utils")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        while not (found := children.read_text().split()):
            assert process.poll() is None

        process.stdout.close()

        assert process.wait(60) == 1
    assert waiting.ends(int(found[0])), "what the module started goes on"


def test_a_finished_build_is_not_made_again(tmp_path: Path) -> None:
    directory = tmp_path / "httpd" / "0123"
    directory.mkdir(parents=True)
    lab_build.write_json(str(directory / "build.json"), {"version": "2.4.68"})

    with lab_build.building(str(directory)) as (_lock, done):
        assert done == {"version": "2.4.68"}

    assert lab_build.finished(str(directory)) == {"version": "2.4.68"}


def test_a_build_directory_can_be_entered_by_all_and_written_by_its_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        with lab_build.building(str(tmp_path / "httpd" / "0123")):
            mode = stat.S_IMODE((tmp_path / "httpd" / "0123").stat().st_mode)
    finally:
        os.umask(before)

    assert mode == 0o755


def test_a_missing_program_is_named_with_what_to_do() -> None:
    with pytest.raises(LabError, match="no working C compiler no-such-cc") as caught:
        lab_build.compiler_version("no-such-cc")

    assert "build_compiler" in caught.value.fix


# --- source of a distribution: apt -----------------------------------------------------------------------------------

DEB822 = """\
Types: deb
# a comment
URIs: http://deb.example.org/debian
Suites: bookworm bookworm-updates other
Components: main
Architectures: amd64
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc

Types: deb
URIs: http://third.example.org/
Suites: nodistro
Components: main

Enabled: no
Types: deb
URIs: http://off.example.org/
Suites: bookworm
Components: main
"""


def test_deb822_entries_become_source_entries_of_the_distributions_own_suites() -> None:
    want = """\
Types: deb-src
Suites: bookworm bookworm-updates
URIs: http://deb.example.org/debian
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc
"""

    found = lab_source_apt.source_stanzas([("debian.sources", DEB822)], "bookworm")

    assert found.replace("Signed-By: \n", "Signed-By:\n") == want


def test_one_line_entries_become_source_entries_and_are_not_repeated() -> None:
    text = (
        "# deb http://off.example.org noble main\n"
        "deb [arch=amd64 signed-by=/usr/share/k.gpg] http://a.example.org/ubuntu noble-security main universe # why\n"
        "deb-src [signed-by=/usr/share/k.gpg] http://a.example.org/ubuntu noble-security main universe\n"
        "deb http://third.example.org/apt cloud-noble main\n"
    )
    want = (
        "Types: deb-src\nSuites: noble-security\nURIs: http://a.example.org/ubuntu\n"
        "Components: main universe\nSigned-By: /usr/share/k.gpg\n"
    )

    assert lab_source_apt.source_stanzas([("sources.list", text)], "noble") == want


@pytest.mark.parametrize(
    ("suite", "want"),
    [("bookworm", True), ("bookworm-security", True), ("bookworm/updates", True), ("stable", True), ("sid", True),
     ("cloud-sdk-bookworm", False), ("nodistro", False), ("bookwormish", False), ("/", False)],
)  # fmt: skip
def test_only_suites_of_the_distribution_itself_are_asked_for_source(suite: str, *, want: bool) -> None:
    assert lab_source_apt.belongs(suite, "bookworm") is want


def test_madison_tells_source_from_binary_versions() -> None:
    text = (
        "   apache2 | 2.4.71-1~deb12u1 | http://deb/security bookworm-security/main amd64 Packages\n"
        "   apache2 | 2.4.68-1~deb12u1 | http://deb/debian bookworm/main amd64 Packages\n"
        "   apache2 | 2.4.68-1~deb12u1 | http://deb/debian bookworm/main Sources\n"
        "N: something else\n"
    )

    assert lab_source_apt.parse_madison(text) == (["2.4.68-1~deb12u1"], ["2.4.71-1~deb12u1", "2.4.68-1~deb12u1"])


# --- which version ---------------------------------------------------------------------------------------------------


def _falling(versions: list[str]) -> list[str]:
    return sorted(set(versions), reverse=True)


def test_a_version_without_source_is_skipped_and_named() -> None:
    tries, skipped = lab_source_distro.candidates(["2.4.68-1", "2.4.62-1"], ["2.4.71-1", "2.4.68-1"], _falling, "")

    assert tries == ["2.4.68-1", "2.4.62-1"]
    assert [one["version"] for one in skipped] == ["2.4.71-1"]


@pytest.mark.parametrize("wanted", ["2.4.62", "2.4.62-1"])
def test_a_pinned_version_may_leave_out_the_packages_revision(wanted: str) -> None:
    assert lab_source_distro.candidates(["2.4.68-1", "2.4.62-1"], [], _falling, wanted) == (["2.4.62-1"], [])


def test_a_pinned_version_that_is_not_offered_names_those_that_are() -> None:
    with pytest.raises(LabError, match=r"no source of httpd 2\.4\.99") as caught:
        lab_source_distro.candidates(["2.4.68-1", "2.4.62-1"], ["2.4.71-1"], _falling, "2.4.99")

    assert "2.4.68-1, 2.4.62-1" in caught.value.fix


def test_the_newest_version_that_can_really_be_fetched_is_taken() -> None:
    def fetch(version: str) -> None:
        if version != "2.4.62-1":
            raise LabError("404 Not Found")

    version, skipped = lab_source_distro.first_fetched(["2.4.71-1", "2.4.68-1", "2.4.62-1"], [], fetch)

    assert version == "2.4.62-1"
    assert skipped == [
        {"version": one, "reason": "its source cannot be fetched: 404 Not Found"} for one in ("2.4.71-1", "2.4.68-1")
    ]


class Archive:
    """A package manager that offers versions and can really fetch some of them."""

    def __init__(self, offered: list[str], fetchable: list[str]) -> None:
        self.offered, self.fetchable = offered, fetchable

    def versions(self) -> tuple[list[str], list[str]]:
        """Return what it offers."""
        return self.offered, []

    def fetch(self, version: str, directory: str) -> None:
        """Begin to fetch a version, and end where it can be had."""
        (Path(directory) / f"{version}.part").write_text("begun")
        if version not in self.fetchable:
            raise LabError(f"no {version} here")
        (Path(directory) / f"{version}.dsc").write_text("whole")


class Kit:
    """What belongs to any package manager: order of versions and description of a source."""

    newest_first = staticmethod(_falling)

    @staticmethod
    def describe(directory: str, version: str) -> dict[str, Any]:
        """Return what lies in a directory."""
        return {"version": version, "files": sorted(path.name for path in Path(directory).iterdir())}


def test_where_the_machines_entries_lead_to_no_source_other_suites_are_tried(tmp_path: Path) -> None:
    own, wide = Archive(["2.4.71-1"], []), Archive(["2.4.71-1", "2.4.69-1", "2.4.68-1"], ["2.4.68-1"])

    found = lab_source_distro.first_described([lambda: own, lambda: wide], Kit, "", str(tmp_path))

    assert found["version"] == "2.4.68-1"
    assert found["files"] == ["2.4.68-1.dsc", "2.4.68-1.part"]
    assert [one["version"] for one in found["skipped"]] == ["2.4.71-1", "2.4.69-1"]


def test_other_suites_are_not_asked_when_the_machines_entries_suffice(tmp_path: Path) -> None:
    def wide() -> Archive:
        raise AssertionError("asked")

    own = Archive(["2.4.68-1"], ["2.4.68-1"])

    assert lab_source_distro.first_described([lambda: own, wide], Kit, "", str(tmp_path))["version"] == "2.4.68-1"


def test_when_no_version_can_be_fetched_every_reason_is_told(tmp_path: Path) -> None:
    archive = Archive(["2.4.68-1", "2.4.62-1"], [])

    with pytest.raises(LabError, match=r"2\.4\.68-1: .*no 2\.4\.68-1 here; 2\.4\.62-1: .*no 2\.4\.62-1 here"):
        lab_source_distro.first_described([lambda: archive], Kit, "", str(tmp_path))


def test_the_siblings_of_a_suite_keep_archive_and_key() -> None:
    text = (
        "deb [signed-by=/k.gpg] http://a.example.org/debian trixie main\n"
        "deb http://a.example.org/debian-security trixie-security main\n"
    )

    found = lab_source_apt.source_stanzas([("sources.list", text)], "trixie", wide=True)

    want = "trixie-updates trixie-backports oldstable stable testing unstable devel"
    assert f"Suites: {want}\nURIs: http://a.example.org/debian\nComponents: main\nSigned-By: /k.gpg\n" in found
    assert "Suites: oldstable-security stable-security testing-security\n" in found


# --- source of a distribution: dnf -----------------------------------------------------------------------------------


def test_enabled_repositories_are_joined_by_their_source_repositories_and_others_left_out() -> None:
    stream = """
[appstream]
name=AppStream
metalink=https://m.example.org/?repo=appstream-$stream&arch=$basearch
enabled=1
[appstream-source]
name=AppStream Source
metalink=https://m.example.org/?repo=appstream-source-$stream
enabled=0
[extras-source]
name=Extras Source
enabled=0
"""
    redhat = (
        "[r9-for-x-appstream-rpms]\nenabled = 1\n[r9-for-x-appstream-source-rpms]\nenabled = 0\nbaseurl = https://r\n"
    )

    found = lab_source_dnf.source_repositories([stream, redhat])

    sections = [line for line in found.splitlines() if line.startswith("[")]
    assert sections == [
        "[appstream]", "[appstream-source]", "[r9-for-x-appstream-rpms]", "[r9-for-x-appstream-source-rpms]",
    ]  # fmt: skip
    assert found.count("enabled=1") == len(sections)
    assert "metalink=https://m.example.org/?repo=appstream-source-$stream" in found


def test_dnfs_own_messages_are_no_versions() -> None:
    text = "Last metadata expiration check: 0:01:02 ago.\n2.4.62-1.el9\n2.4.57-5.el9\n2.4.62-1.el9\n"

    assert lab_source_dnf.versions_in(text) == ["2.4.62-1.el9", "2.4.57-5.el9"]


# --- upstream --------------------------------------------------------------------------------------------------------

SUM = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"{SUM} *httpd-2.4.68.tar.gz\n", id="binary mode"),
        pytest.param(f"{SUM}  httpd-2.4.68.tar.gz\n", id="text mode"),
        pytest.param(f"SHA256 (httpd-2.4.68.tar.gz) = {SUM}\n", id="BSD"),
        pytest.param("httpd-2.4.68.tar.gz: " + " ".join(SUM[i : i + 8].upper() for i in range(0, 64, 8)), id="gpg"),
        pytest.param(SUM + "\n", id="alone"),
        pytest.param(f"{'f' * 64}  httpd-2.4.68.tar.bz2\n{SUM}  httpd-2.4.68.tar.gz\n", id="several files"),
    ],
)
def test_a_published_checksum_is_found_in_each_form(text: str) -> None:
    assert lab_source_upstream.checksum_in(text, "httpd-2.4.68.tar.gz") == SUM


@pytest.mark.parametrize("text", ["", "<html>404</html>", f"{SUM[:-1]}  httpd-2.4.68.tar.gz", f"{SUM}  other.tar.gz"])
def test_no_checksum_is_made_up(text: str) -> None:
    assert lab_source_upstream.checksum_in(text, "httpd-2.4.68.tar.gz") is None


PRIMARY = "A" * 40
VALID = f"[GNUPG:] VALIDSIG {'B' * 40} 2024-04-03 1712142343 0 4 0 1 10 00 {PRIMARY}\n"


@pytest.mark.parametrize(
    ("status", "want"),
    [
        pytest.param("[GNUPG:] GOODSIG X Y\n" + VALID, PRIMARY, id="good"),
        pytest.param("[GNUPG:] EXPKEYSIG X Y\n" + VALID, PRIMARY, id="key expired since"),
        pytest.param("[GNUPG:] REVKEYSIG X Y\n" + VALID, None, id="key revoked"),
        pytest.param("[GNUPG:] BADSIG X Y\n", None, id="bad"),
        pytest.param("[GNUPG:] ERRSIG X 1 10 00 1 9 -\n[GNUPG:] NO_PUBKEY X\n", None, id="unknown key"),
        pytest.param("VALIDSIG in the text of somebody's name\n", None, id="not a status line"),
    ],
)
def test_only_a_valid_signature_names_its_signer(status: str, want: str | None) -> None:
    assert lab_source_upstream.signer_in(status) == want


# --- names of sources ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "want"),
    [("distro", ("distro", "")), ("distro:2.4.62-1~deb12u2", ("distro", "2.4.62-1~deb12u2")),
     ("distro:previous", ("distro", "previous")), ("git:../httpd#2.4.x", ("git", "../httpd#2.4.x")),
     ("upstream:2.4.68", ("upstream", "2.4.68")), ("path:/srv/httpd:2", ("path", "/srv/httpd:2")),
     ("built:0123456789abcdef", ("built", "0123456789abcdef"))],
)  # fmt: skip
def test_a_sources_name_is_taken_apart(spec: str, want: tuple[str, str]) -> None:
    assert httpd_source.parse_spec(spec) == want


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "debian",
        "distro:",
        "upstream",
        "upstream:",
        "path:",
        "git:",
        "upstream:2.4.68/../../x",
    ],
)
def test_a_sources_name_that_means_nothing_is_refused_with_the_forms_there_are(spec: str) -> None:
    with pytest.raises(LabError) as caught:
        httpd_source.parse_spec(spec)

    assert "upstream:VERSION" in caught.value.fix


# --- local sources ---------------------------------------------------------------------------------------------------


def _unpacked(description: dict[str, Any], target: Path) -> Path:
    """Unpack a source as a build does and return where it lies."""
    target.mkdir()
    within = lab_confined.Confinement(str(target), "nothing of it is run")
    lab_source_local.unpack(description, str(target / "httpd"), str(target), None, within)
    return target / "httpd"


def _tree(root: Path) -> Path:
    (root / "include").mkdir(parents=True)
    (root / "include/ap_release.h").write_text(
        "#define AP_SERVER_MAJORVERSION_NUMBER 2\n#define AP_SERVER_MINORVERSION_NUMBER 4\n"
        "#define AP_SERVER_PATCHLEVEL_NUMBER   68\n"
    )
    (root / "configure").write_text("#!/bin/sh\n")
    (root / "configure").chmod(0o755)
    return root


def test_a_tree_is_described_by_its_version_and_the_hash_of_its_sources(tmp_path: Path) -> None:
    found = lab_source_local.describe_path(str(_tree(tmp_path / "httpd")))

    assert (found["version"], found["unpack"]) == ("2.4.68", "tree")
    assert found["sha256"] == lab_source_local.tree_sha256(str(tmp_path / "httpd"))


def test_what_an_earlier_build_left_in_a_tree_neither_counts_nor_comes_along(tmp_path: Path) -> None:
    root = _tree(tmp_path / "httpd")
    want = lab_source_local.tree_sha256(str(root))
    (root / ".libs").mkdir()
    for name in (".libs/x.so", "main.o", "config.status", "modules.c", "include/ap_config_auto.h"):
        (root / name).write_text("built")

    source = _unpacked(lab_source_local.describe_path(str(root)), tmp_path / "src")

    assert lab_source_local.tree_sha256(str(root)) == want
    copied = {str(path.relative_to(source)) for path in source.rglob("*") if path.is_file()}
    assert copied == {"configure", "include/ap_release.h"}


def test_a_changed_source_file_changes_the_hash_of_the_tree(tmp_path: Path) -> None:
    root = _tree(tmp_path / "httpd")
    before = lab_source_local.tree_sha256(str(root))
    (root / "configure").write_text("#!/bin/sh\n:\n")

    assert lab_source_local.tree_sha256(str(root)) != before


def test_time_stamps_survive_unpacking(tmp_path: Path) -> None:
    """Make would regenerate files that look older than what they are made from, and ask for bison."""
    root = _tree(tmp_path / "httpd-2.4.68")
    os.utime(root / "configure", (1e9, 1e9))
    with tarfile.open(tmp_path / "httpd.tar.gz", "w:gz") as archive:
        archive.add(root, "httpd-2.4.68")

    for number, path in enumerate((root, tmp_path / "httpd.tar.gz")):
        source = _unpacked(lab_source_local.describe_path(str(path)), tmp_path / f"src{number}")
        assert (source / "configure").stat().st_mtime == 1e9


@pytest.mark.parametrize("name", ["../escape", "/escape"])
def test_an_archive_that_leads_out_of_its_directory_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "x").write_text("x")
    with tarfile.open(tmp_path / "bad.tar", "w") as archive:
        member = archive.gettarinfo(str(tmp_path / "x"))
        member.name = name
        archive.addfile(member, (tmp_path / "x").open("rb"))

    with pytest.raises(LabError, match="leads out of it"):
        _unpacked({"unpack": "tar", "path": str(tmp_path / "bad.tar")}, tmp_path / "src")


@pytest.mark.parametrize("what", ["missing", "no tree", "no archive", "relative"])
def test_a_path_that_is_no_source_is_refused(tmp_path: Path, what: str) -> None:
    (tmp_path / "no tree").mkdir()
    (tmp_path / "no archive").write_text("text")

    with pytest.raises(LabError):
        lab_source_local.describe_path("httpd" if what == "relative" else str(tmp_path / what))


def test_a_checkout_without_configure_says_how_to_make_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = _tree(tmp_path / "httpd")
    (root / "configure").unlink()

    (root / "buildconf").write_text("exit 1\n")
    monkeypatch.setenv("PATH", str(tmp_path))  # nothing to make one with

    with pytest.raises(LabError, match="autoconf, automake, libtoolize is needed") as caught:
        _unpacked(lab_source_local.describe_path(str(root)), tmp_path / "src")

    assert "./buildconf" in caught.value.fix


def test_what_a_tree_holds_beside_files_is_named_and_not_waited_for(tmp_path: Path) -> None:
    root = _tree(tmp_path / "httpd")
    os.mkfifo(root / "gate")

    with pytest.raises(LabError, match="gate in this source is no file"):
        lab_source_local.describe_path(str(root))


def test_a_link_in_a_tree_is_copied_and_what_it_leads_to_is_not(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("not the source's")
    root = _tree(tmp_path / "httpd")
    (root / "leak.c").symlink_to(tmp_path / "secret")

    source = _unpacked(lab_source_local.describe_path(str(root)), tmp_path / "src")

    assert (source / "leak.c").is_symlink()


def test_an_archive_that_would_fill_the_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab_source_local, "MOST_UNPACKED_BYTES", 100)
    with tarfile.open(tmp_path / "big.tar", "w") as archive:
        archive.add(_tree(tmp_path / "httpd-2.4.68"), "httpd-2.4.68")

    with pytest.raises(LabError, match="unpacks to more than 100 bytes"):
        _unpacked({"unpack": "tar", "path": str(tmp_path / "big.tar")}, tmp_path / "src")


@pytest.mark.needs_root
def test_what_an_archive_says_of_owners_and_modes_is_not_taken_over(tmp_path: Path) -> None:
    root = _tree(tmp_path / "httpd-2.4.68")
    (root / "configure").chmod(0o6777)
    with tarfile.open(tmp_path / "httpd.tar", "w") as archive:
        archive.add(root, "httpd-2.4.68")

    source = _unpacked({"unpack": "tar", "path": str(tmp_path / "httpd.tar")}, tmp_path / "src")

    about = (source / "configure").stat()
    assert (about.st_uid, stat.S_IMODE(about.st_mode)) == (lab_confined.account()[0], 0o755)


@pytest.mark.parametrize("spec", ["built:", "built:../../../etc", "built:0123456789ABCDEF", "built:0123"])
def test_a_build_is_named_by_its_key_alone(spec: str) -> None:
    with pytest.raises(LabError):
        httpd_source.parse_spec(spec)


def test_a_build_that_is_in_the_cache_is_taken_as_it_is_and_one_that_is_gone_is_named(tmp_path: Path) -> None:
    parameters = {"cache_dir": str(tmp_path), "compiler": "gcc"}
    specs = ("built:0123456789abcdef", "built:ffffffffffffffff")
    kind_and_key = [httpd_source.parse_spec(spec) for spec in specs]
    sources = [
        {**httpd_source.fetch(*found, params=parameters, check_mode=False)[0], "spec": spec}
        for spec, found in zip(specs, kind_and_key, strict=True)
    ]
    there = tmp_path / "httpd" / "0123456789abcdef"
    there.mkdir(parents=True)
    (there / "build.json").write_text(json.dumps({"version": "2.4.68", "build_key": "0123456789abcdef"}))

    builds, changed, failures = httpd_build.ensure_all(sources, parameters, False)  # noqa: FBT003 -- the module's own

    assert builds == {specs[0]: {"version": "2.4.68", "build_key": "0123456789abcdef", "skipped": []}}
    assert not changed
    assert "no longer in the cache" in failures[specs[1]].what
    assert httpd_build.together(failures, builds, sources).what.startswith("httpd built:ffffffffffffffff")


# --- httpd and variants ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "want"),
    [("git:/srv/httpd#main", "refused"), ("path:/srv/httpd", "refused"), ("distro", ""), ("upstream:2.4.68", "")],
)
def test_where_nothing_can_be_confined_only_a_verified_source_is_built(spec: str, want: str) -> None:
    """The others say by name why they are not."""
    assert httpd_build.refusal({"spec": spec}, "") is None

    found = httpd_build.refusal({"spec": spec}, "this host allows no namespaces: Operation not permitted")

    assert (found is not None) == bool(want)
    assert found is None or ("this host allows no namespaces" in found.what and found.where == spec)


def test_configure_gets_modules_mpms_and_flags() -> None:
    found = httpd_build.configure_arguments("gcc", "-O2", ["cgid", "info"], ["event"])

    assert found[:2] == ["CC=gcc", "CFLAGS=-O2"]
    assert found[-3:] == ["--enable-modules=none", "--enable-mods-shared=cgid info", "--enable-mpms-shared=event"]


def test_the_version_of_a_built_httpd_is_what_it_says_itself() -> None:
    assert httpd_build.version_in("Server version: Apache/2.4.68 (Unix)\nServer built:   x\n") == "2.4.68"
    with pytest.raises(LabError):
        httpd_build.version_in("Segmentation fault")


VARIANT = {"listen_backlog": 5, "connect_attempts": 15, "patches": ""}
MACROS = {"connect_attempts": "DEFAULT_CONNECT_ATTEMPTS", "listen_backlog": "DEFAULT_CGID_LISTENBACKLOG"}


def test_a_variants_limits_are_definitions_of_the_compiler() -> None:
    want = ["-DDEFAULT_CGID_LISTENBACKLOG=5", "-DDEFAULT_CONNECT_ATTEMPTS=15"]

    assert cgid_variants.defines(VARIANT, MACROS) == want


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"build_key": "other"}, id="httpd"),
        pytest.param({"compiler": "gcc 13"}, id="compiler"),
        pytest.param({"cflags": "-O0"}, id="flags"),
        pytest.param({"defined": cgid_variants.defines({**VARIANT, "listen_backlog": 6}, MACROS)}, id="backlog"),
        pytest.param({"defined": cgid_variants.defines({**VARIANT, "connect_attempts": 0}, MACROS)}, id="attempts"),
        pytest.param({"texts": ["--- a"]}, id="patch"),
    ],
)
def test_whatever_goes_into_a_variant_changes_its_key(change: dict[str, Any]) -> None:
    base: dict[str, Any] = {
        "build_key": "k", "compiler": "gcc 12", "cflags": "-O2", "texts": [],
        "defined": cgid_variants.defines(VARIANT, MACROS),
    }  # fmt: skip

    assert cgid_variants.variant_key(**base) == cgid_variants.variant_key(**base)
    assert cgid_variants.variant_key(**{**base, **change}) != cgid_variants.variant_key(**base)


def test_an_unknown_patch_is_refused_with_those_there_are() -> None:
    with pytest.raises(LabError, match="no patch typo") as caught:
        cgid_variants.patch_names({**VARIANT, "patches": "good typo"}, {"good": "--- a"})

    assert "use one of: good" in caught.value.fix


@pytest.mark.parametrize("order", ["upper", "upper lower"])
def test_a_patch_upon_another_is_refused_without_it_before(order: str) -> None:
    patches = {"upper": "Why.\nNeeds: lower\n--- a\n", "lower": "Why.\n--- a\n"}

    assert cgid_variants.patch_names({**VARIANT, "patches": "lower upper"}, patches) == ["lower", "upper"]
    with pytest.raises(LabError, match="the patch upper needs lower before it") as caught:
        cgid_variants.patch_names({**VARIANT, "patches": order}, patches)

    assert caught.value.fix == 'write patches: "lower upper"'


@pytest.mark.needs_root
def test_a_patch_that_does_not_fit_names_its_hunk_and_changes_no_source(tmp_path: Path) -> None:
    within = lab_confined.Confinement(str(tmp_path))
    tree = Path(within.give("work"))
    (tree / "modules").mkdir()
    (tree / "modules/x.c").write_text("one\ntwo\nthree\n")
    for path in (tree / "modules", tree / "modules/x.c"):
        os.chown(path, within.uid, within.gid)
    text = "--- a/modules/x.c\n+++ b/modules/x.c\n@@ -1,3 +1,3 @@\n one\n-zwei\n+dos\n three\n"

    with pytest.raises(LabError, match=r"the patch mine does not apply to httpd 2\.4\.6: .*Hunk #1 FAILED at 1"):
        cgid_variants.apply_patches(["mine"], {"mine": text}, str(tree), str(tmp_path), None, within, "2.4.6")

    assert (tree / "modules/x.c").read_text() == "one\ntwo\nthree\n"


# --- host ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uid", "want"),
    [
        (0, {"cache": "/var/cache/cgidlab", "work": "/var/tmp/cgidlab-0"}),  # noqa: S108 -- the expectation
        (7, {"cache": "/home/u/.cache/cgidlab", "work": "/var/tmp/cgidlab-7"}),  # noqa: S108 -- the expectation
    ],
)
def test_root_and_a_user_have_their_own_directories(uid: int, want: dict[str, str]) -> None:
    assert host_survey.directories(uid, "/home/u", "", "") == want


def test_options_move_the_directories_and_must_be_absolute() -> None:
    want = {"cache": "/srv/c", "work": "/srv/w"}

    assert host_survey.directories(0, "/root", "/srv/c/", "/srv/w") == want
    with pytest.raises(LabError, match="host_cache_dir must be an absolute path"):
        host_survey.directories(0, "/root", "srv/c", "")


def test_a_directory_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)

    with pytest.raises(LabError, match="not a directory of this user"):
        host_survey.ensure(str(tmp_path / "link"), 0o711, check_mode=False)


def test_check_mode_makes_no_directory(tmp_path: Path) -> None:
    assert host_survey.ensure(str(tmp_path / "a/b"), 0o711, check_mode=True) is True
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("text", "want"),
    [
        pytest.param("NAME=x\nID=debian\n", "Debian", id="Debian"),
        pytest.param("ID=ubuntu\nID_LIKE=debian\n", "Debian", id="Ubuntu"),
        pytest.param('ID="centos"\nID_LIKE="rhel fedora"\n', "RedHat", id="CentOS"),
        pytest.param('ID="rocky"\nID_LIKE="rhel centos fedora"\n', "RedHat", id="Rocky"),
        pytest.param("ID=alpine\n", "alpine", id="neither"),
    ],
)
def test_a_distribution_belongs_to_the_family_it_descends_from(text: str, want: str) -> None:
    assert host_survey.os_family(host_survey.parse_os_release(text)) == want


@pytest.mark.parametrize(("enforce", "want"), [("1", "enforcing"), ("0", "permissive"), ("", "")])
def test_selinux_is_what_the_kernel_says_and_nothing_where_it_says_nothing(enforce: str, want: str) -> None:
    assert host_survey.selinux_mode(enforce) == want


@pytest.mark.parametrize(
    ("text", "want"),
    [
        pytest.param("h2load nghttp2/1.52.0\n", "1.52.0", id="h2load"),
        pytest.param("This is ApacheBench, Version 2.3 <$Revision: 1923142 $>\nCopyright\n", "2.3", id="ab"),
        pytest.param("bpftrace v0.17.0\n", "0.17.0", id="bpftrace"),
        pytest.param("strace -- version 6.1\n", "6.1", id="strace"),
        pytest.param("Usage: fcgiwrap [OPTION]\n\nfcgiwrap version 1.1.0\n", "1.1.0", id="fcgiwrap"),
        pytest.param("no number\nmore\n", "no number", id="none"),
    ],
)
def test_the_version_a_program_prints_is_found(text: str, want: str) -> None:
    assert host_tools.version_in(text) == want


def test_a_held_package_is_installed_and_one_removed_but_not_purged_is_not() -> None:
    assert host_tools.installed_dpkg("ii  gcc\nrc  make\nun  patch\nhi  held\niU  half\n") == {"gcc", "held"}


def test_rpm_names_what_nothing_provides() -> None:
    text = "gcc-11.5.0-5.el9.x86_64\nno package provides nghttp2\nno package provides bpftrace\n"

    assert [one or other for one, other in host_tools.missing_rpm(text)] == ["nghttp2", "bpftrace"]


def test_a_program_is_found_with_a_version_behind_its_name_the_newest_of_several(tmp_path: Path) -> None:
    for name in ("php-fpm8.2", "php-fpm8.10", "php-fpm-extra", "php-fpm9.9"):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(0o644 if name == "php-fpm9.9" else 0o755)  # one may not be run

    assert host_tools.find("php-fpm", f"{tmp_path}/no:{tmp_path}") == str(tmp_path / "php-fpm8.10")
    (tmp_path / "php-fpm").symlink_to("php-fpm8.2")
    assert host_tools.find("php-fpm", str(tmp_path)) == str(tmp_path / "php-fpm")
    assert host_tools.find("gunicorn", str(tmp_path)) is None
