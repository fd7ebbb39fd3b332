"""Versions of httpd: what a source needs is read from it, what is older or the same is known, failures are all told."""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cgidlab.engine import sources
from cgidlab.engine.execute import Site, _sources
from cgidlab.errors import SpecError
from tests.role_code import module, utility
from tests.unit.test_build_modules import (
    Archive,
    Kit,
    LabError,
    httpd_build,
    httpd_source,
    lab_source_apt,
)
from tests.unit.test_build_modules import lab_source_distro as distro

if TYPE_CHECKING:
    from collections.abc import Callable

lab_libraries = utility("lab_libraries")
lab_source_git = utility("lab_source_git")
httpd_offers = module("build", "httpd_offers")

OF_24_NEW = "for ac_prog in pcre2-config pcre-config\n--enable-mpms-shared=MPM-LIST\n"
OF_24_OLD = "as_fn_error $? pcre-config for libpcre not found. PCRE is required\n--enable-mpms-shared=MPM-LIST\n"
OF_22 = "--with-mpm=MPM\n--with-pcre=PATH Use external PCRE library\n"


def _tarball(path: Path, files: dict[str, str]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return path


# --- what a source needs ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("configure", "pcre", "shared_mpms"),
    [
        pytest.param(OF_24_NEW, ("pcre2-config", "pcre-config"), True, id="2.4 of today takes either PCRE"),
        pytest.param(OF_24_OLD, ("pcre-config",), True, id="older 2.4 takes PCRE 1"),
        pytest.param(OF_22, None, False, id="2.2 brings its own and has its MPM built in"),
        pytest.param(None, ("pcre2-config", "pcre-config"), True, id="a package fits its distribution"),
    ],
)
def test_what_a_source_needs_is_read_from_its_configure(
    configure: str | None, pcre: tuple[str, ...] | None, *, shared_mpms: bool
) -> None:
    assert lab_libraries.wanted_pcre(configure) == pcre
    assert lab_libraries.has_shared_mpms(configure) is shared_mpms


def test_the_configure_of_a_tarball_is_that_of_httpd_and_not_of_a_library_inside(tmp_path: Path) -> None:
    files = {"httpd-2.2.34/srclib/apr/configure": "another", "httpd-2.2.34/configure": OF_22}
    path = _tarball(tmp_path / "httpd-2.2.34.tar.gz", files)

    assert lab_libraries.configure_of({"unpack": "tar", "path": str(path)}) == OF_22


def test_httpd_22_gets_the_modules_it_has_and_one_mpm() -> None:
    found = httpd_build.configure_arguments("gcc", "-O2", ["unixd", "authz_core", "cgid"], ["event"], shared_mpms=False)

    assert found[-3:] == ["--enable-so", "--enable-mods-shared=authz_host cgid", "--with-mpm=worker"]


def _programs(directory: Path, **versions: str) -> None:
    directory.mkdir()
    for name, version in versions.items():
        path = directory / name.replace("_", "-")
        path.write_text(f"#!/bin/sh\necho {version}\n")
        path.chmod(0o755)
    (directory / "sh").symlink_to("/bin/sh")


TARBALLS = [
    {"name": name, "path": f"/t/{name}", "sha256": name}
    for name in ("apr-1.7.0.tar.gz", "apr-1.6.5.tar.gz", "apr-util-1.6.1.tar.gz", "pcre-8.45.tar.gz", "pcre-8.9.tar.gz")
]
SOURCE = {"source": "upstream 2.4.35"}


def test_libraries_of_the_machine_are_taken_before_tarballs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _programs(tmp_path / "bin", apr_1_config="1.7.2", apu_1_config="1.6.3", pcre2_config="10.42")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    found = lab_libraries.choose(SOURCE, OF_24_NEW, TARBALLS)

    assert found["versions"] == {"apr": "1.7.2", "apu": "1.6.3", "pcre": "10.42"}
    assert found["own"] == {}


def test_a_library_the_machine_lacks_is_built_from_its_newest_tarball(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _programs(tmp_path / "bin", pcre2_config="10.42")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    found = lab_libraries.choose(SOURCE, OF_24_OLD, TARBALLS)

    want = {"apr": "apr-1.7.0.tar.gz", "apr-util": "apr-util-1.6.1.tar.gz", "pcre": "pcre-8.45.tar.gz"}
    assert {name: one["name"] for name, one in found["own"].items()} == want
    assert found["tools"] == {}, "PCRE 2 is here, but this httpd cannot use it"


def test_a_library_that_is_nowhere_is_named_with_the_package_that_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _programs(tmp_path / "bin", apr_1_config="1.7.2", apu_1_config="1.6.3", pcre2_config="10.42")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    with pytest.raises(LabError, match=r"upstream 2\.4\.35 needs PCRE 1, not PCRE 2") as caught:
        lab_libraries.choose(SOURCE, OF_24_OLD, [])

    assert "libpcre3-dev" in caught.value.fix
    assert "--sources" in caught.value.fix


def test_all_versions_that_cannot_be_built_are_named_and_how_to_run_the_others() -> None:
    said = [{"spec": s, "source": s.replace(":", " ")} for s in ("distro", "upstream:2.4.1", "upstream:2.4.2")]
    failures = {
        "upstream:2.4.1": LabError("make failed with exit status 2: a.c:1:1: error: old", where="/c/a.log", fix="look"),
        "upstream:2.4.2": OSError(28, "No space left on device", "/c"),
    }

    error = httpd_build.together(failures, {"distro": {}}, said)

    assert "httpd upstream:2.4.1 (upstream 2.4.1): make failed with exit status 2: a.c:1:1: error: old" in error.what
    assert "httpd upstream:2.4.2 (upstream 2.4.2): the disk is full" in error.what
    assert error.where == "/c/a.log, /c"
    assert "--only httpd=distro" in error.fix


# --- the distribution's versions -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "than", "want"),
    [
        ("2.4.67-1~deb12u3", "2.4.68-1~deb12u1", True),
        ("2.4.68-1~deb11u1", "2.4.68-1~deb12u1", False),  # the same program in another suite
        ("2.4.69-1", "2.4.68-1~deb12u1", False),
        ("1:2.4.9-1", "2.4.10-1", True),
    ],
)
@pytest.mark.skipif(shutil.which("dpkg") is None, reason="dpkg compares versions")
def test_a_version_is_older_by_its_httpd_and_not_by_its_package(version: str, than: str, *, want: bool) -> None:
    assert lab_source_apt.is_older(version, than) is want


class _Ordered(Kit):
    @staticmethod
    def is_older(version: str, than: str) -> bool:
        return version < than


def test_the_version_before_is_the_newest_older_one_that_can_be_fetched(tmp_path: Path) -> None:
    own = Archive(["2.4.71-1", "2.4.68-1"], ["2.4.68-1"])
    wide = Archive(["2.4.71-1", "2.4.67-2", "2.4.67-1", "2.4.62-1"], ["2.4.67-1", "2.4.62-1"])

    found = distro.first_described([lambda: own, lambda: wide], _Ordered, "", str(tmp_path), before="2.4.68-1")

    assert found["version"] == "2.4.67-1"


def test_a_distribution_without_an_older_version_says_so(tmp_path: Path) -> None:
    archive = Archive(["2.4.68-1"], ["2.4.68-1"])

    with pytest.raises(LabError, match="older than the one it is compared with"):
        distro.first_described([lambda: archive], _Ordered, "", str(tmp_path), before="2.4.68-1")


# --- git -------------------------------------------------------------------------------------------------------------


def _git(directory: Path, *arguments: str) -> str:
    who = ["-c", "user.name=Tester", "-c", "user.email=tester@example.org"]
    argv = ["git", *who, "-C", str(directory), *arguments]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize("argument", ["-x#y", "/x#-y", "#trunk", "/x#"])
def test_what_git_would_take_for_an_option_is_no_repository(argument: str) -> None:
    with pytest.raises(LabError, match="names no repository and ref"):
        httpd_source.parse_spec(f"git:{argument}")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository with one commit on trunk, tagged 2.4.1."""
    root = tmp_path / "httpd"
    root.mkdir()
    _git(root, "init", "-q", "-b", "trunk")
    (root / "configure").write_text("one\n")
    _git(root, "add", ".")
    _git(root, "commit", "-qm", "one")
    _git(root, "tag", "2.4.1")
    return root


def _content(described: dict[str, Any]) -> str:
    text = lab_libraries.configure_of(described)
    assert isinstance(text, str)
    return text


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_a_branch_is_followed_and_a_tag_and_a_commit_stay(repository: Path, tmp_path: Path) -> None:
    home = str(tmp_path / "cache")
    first = _git(repository, "rev-parse", "HEAD")
    one, packed = lab_source_git.describe_git(f"{repository}#trunk", home, None)
    (repository / "configure").write_text("two\n")
    _git(repository, "commit", "-qam", "two")

    two, _ = lab_source_git.describe_git("httpd#trunk", home, str(tmp_path))
    tag, packed_again = lab_source_git.describe_git(f"{repository}#2.4.1", home, None)
    commit, _ = lab_source_git.describe_git(f"file://{repository}#{first}", home, None)

    assert [_content(d) for d in (one, two, tag, commit)] == ["one\n", "two\n", "one\n", "one\n"]
    assert one["source"] == f"git {repository} trunk, commit {first}"
    assert one["sha256"] == tag["sha256"] == commit["sha256"] != two["sha256"]
    assert (packed, packed_again) == (True, False)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_a_ref_that_is_not_there_is_named_with_how_to_see_those_that_are(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"nowhere of .* cannot be fetched") as caught:
        lab_source_git.describe_git(f"{repository}#nowhere", str(tmp_path / "cache"), None)

    assert "git ls-remote" in caught.value.fix


def test_a_relative_repository_means_nothing_on_another_host(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="only means something on the control machine"):
        lab_source_git.describe_git("../httpd#trunk", str(tmp_path), None)


# --- tarballs in place of the network --------------------------------------------------------------------------------


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    """Return a directory of tarballs with checksums in both forms."""
    directory = tmp_path / "mirror"
    directory.mkdir()
    for name in ("httpd-2.4.54.tar.gz", "httpd-2.4.35.tar.gz", "pcre-8.45.tar.gz", "readme.tar.gz"):
        (directory / name).write_text(name)
    lines = [f"{_sha256(directory / n)}  {n}" for n in ("httpd-2.4.54.tar.gz", "pcre-8.45.tar.gz")]
    (directory / "SHA256SUMS").write_text("\n".join(lines) + "\n")
    (directory / "httpd-2.4.35.tar.gz.sha256").write_text(_sha256(directory / "httpd-2.4.35.tar.gz") + "\n")
    return directory


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_directory_of_tarballs_is_read_with_what_its_names_say(mirror: Path) -> None:
    found = sources.read(mirror)

    assert [(t.program, t.version) for t in found] == [("httpd", "2.4.35"), ("httpd", "2.4.54"), ("pcre", "8.45")]
    assert found[0].sha256 == _sha256(mirror / "httpd-2.4.35.tar.gz")


def test_a_host_is_given_the_versions_that_are_asked_for_and_all_libraries(mirror: Path, tmp_path: Path) -> None:
    site = Site(tmp_path, tmp_path, tarballs=sources.read(mirror))

    told = _sources(site, [{"httpd": "upstream:2.4.54"}, {"httpd": "distro"}])

    names = [Path(one["path"]).name for one in told["build_tarballs"]]
    assert names == ["httpd-2.4.54.tar.gz", "pcre-8.45.tar.gz"]
    assert _sources(Site(tmp_path, tmp_path), [{"httpd": "distro"}]) == {}, "an inventory may say what it wants"


@pytest.mark.parametrize(
    ("spoil", "want"),
    [
        pytest.param(
            lambda d: (d / "httpd-2.4.54.tar.gz").write_text("x"), "is not what its checksum names", id="bytes"
        ),
        pytest.param(lambda d: (d / "SHA256SUMS").unlink(), "httpd-2.4.54.tar.gz has no checksum", id="no sum"),
        pytest.param(lambda d: [p.unlink() for p in d.glob("httpd*")], "no tarball of httpd", id="no httpd"),
        pytest.param(shutil.rmtree, "no such directory", id="no directory"),
    ],
)
def test_a_directory_that_is_not_right_is_refused_as_a_whole(
    mirror: Path, spoil: Callable[[Path], object], want: str
) -> None:
    spoil(mirror)

    with pytest.raises(SpecError, match=want) as caught:
        sources.read(mirror)

    assert caught.value.fix


def test_a_tarball_that_changed_on_its_way_is_not_built(tmp_path: Path) -> None:
    path = tmp_path / "httpd-2.4.54.tar.gz"
    path.write_text("cut")
    tarballs = [{"name": path.name, "path": str(path), "sha256": "0" * 64}]

    with pytest.raises(LabError, match="does not have the checksum"):
        httpd_source.from_tarballs("2.4.54", tarballs)

    assert httpd_source.from_tarballs("2.4.55", tarballs) is None


def test_a_tarball_of_an_earlier_run_counts_where_none_is_given(tmp_path: Path) -> None:
    text = b"a tarball"
    place = tmp_path / hashlib.sha256(text).hexdigest()[:16]
    place.mkdir()
    for name in ("httpd-2.4.54.tar.gz", "pcre-8.45.tar.gz"):
        (place / name).write_bytes(text)
    torn = tmp_path / ("0" * 16)
    torn.mkdir()
    (torn / "httpd-2.4.55.tar.gz").write_text("half of it")
    given = [{"path": "/control/pcre-8.42.tar.gz", "sha256": "f" * 64}]

    found = lab_libraries.on_host(given, str(tmp_path))

    assert [one["name"] for one in found] == ["pcre-8.42.tar.gz", "httpd-2.4.54.tar.gz"]
    assert found[0]["path"] == str(tmp_path / ("f" * 16) / "pcre-8.42.tar.gz")


# --- what can be had -------------------------------------------------------------------------------------------------


def test_releases_are_read_from_a_listing_newest_first() -> None:
    listing = "".join(
        f'<a href="httpd-{version}.tar.{form}">x</a>\n'
        for version, form in (
            ("2.4.9", "gz"),
            ("2.4.10", "gz"),
            ("2.4.10", "bz2"),
            ("2.2.34", "gz"),
            ("2.4.10", "gz.asc"),
        )
    )

    assert httpd_offers.releases_in(listing) == ["2.4.10", "2.4.9", "2.2.34"]


def test_an_archive_that_cannot_be_reached_is_one_line_with_the_reason(tmp_path: Path) -> None:
    (found,) = httpd_offers.of_project((tmp_path / "nowhere").as_uri())

    assert found["available"] is False
    assert "No such file" in found["reason"]


def test_what_is_in_the_cache_is_offered_without_a_network(tmp_path: Path) -> None:
    for place, text in (
        ("sources/distro-1", '{"version": "2.4.68-1", "source": "apache2 2.4.68-1"}'),
        ("sources/upstream-1.new", '{"torn'),
        ("httpd/0123", '{"version": "2.4.54", "source": "upstream 2.4.54"}'),
    ):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "build.json").write_text(text)

    found = httpd_offers.of_cache(str(tmp_path))

    assert [(o["httpd"], o["origin"]) for o in found] == [
        ("distro:2.4.68-1", "cache"),
        ("", "built: upstream 2.4.54"),
    ]
