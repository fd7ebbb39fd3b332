"""A module of httpd comes out of a package that is not installed, and nothing else of that package stays."""

import json
import stat
from pathlib import Path

import pytest

from tests.role_code import module, utility

packaged_modules = module("systems", "packaged_modules")
lab_packages = utility("lab_packages")
LabError = packaged_modules.LabError


class Packages:
    """A package manager whose one package holds what it is told."""

    suffix = ".deb"

    def __init__(
        self, version: str = "1:2.3.9-4", files: tuple[str, ...] = ("usr/lib/apache2/modules/mod_x.so",)
    ) -> None:
        self.one, self.files, self.fetched = version, files, 0

    def fetch(self, package: str, directory: str) -> None:
        """Leave it there, as a log of the download."""
        self.fetched += 1
        (Path(directory) / "download.log").write_text("")
        (Path(directory) / f"{package}_1_amd64.deb").write_bytes(b"!<arch>")

    def unpack(self, path: str, directory: str) -> None:
        """Make its files below the directory; one whose name ends with @ is a link."""
        assert Path(path).read_bytes() == b"!<arch>"
        for name in self.files:
            place = Path(directory) / name.rstrip("@")
            place.parent.mkdir(parents=True, exist_ok=True)
            if name.endswith("@"):
                place.symlink_to("/etc/hostname")
            else:
                place.write_text(f"content of {self.one}")

    def version(self, path: str) -> str:
        """Return the version that it was made with."""
        assert path.endswith(".deb")
        return self.one


def test_the_module_alone_is_kept_and_the_user_of_httpd_can_read_it(tmp_path: Path) -> None:
    packages = Packages(files=("usr/lib/apache2/modules/mod_x.so", "etc/apache2/mods-available/x.conf"))

    found, new = packaged_modules.provide("mod_x", "lib-mod-x", str(tmp_path), packages)

    kept = Path(found["path"])
    assert new
    assert (kept.name, kept.read_text(), found["version"]) == ("mod_x.so", "content of 1:2.3.9-4", "1:2.3.9-4")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o644
    assert sorted(p.name for p in kept.parent.iterdir()) == ["build.json", "mod_x.so"]
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_dir()) == [kept.parent.name], "no package, no rest of it"


def test_what_is_in_the_cache_is_taken_and_the_newest_of_it(tmp_path: Path) -> None:
    first, _ = packaged_modules.provide("mod_x", "lib-mod-x", str(tmp_path), Packages("1"))
    second, _ = packaged_modules.provide("mod_x", "lib-mod-x", str(tmp_path), Packages("2"))
    again, new = packaged_modules.provide("mod_x", "lib-mod-x", str(tmp_path), Packages("2"))

    assert first["path"] != second["path"]
    assert (again, new) == (second, False)
    assert packaged_modules.cached("mod_x", str(tmp_path))["version"] == "2"
    assert packaged_modules.cached("mod_y", str(tmp_path)) is None
    tools, changed = packaged_modules.provide_all(
        {"mod_x": "lib-mod-x"}, str(tmp_path), [], refresh=False, check_mode=False
    )
    assert (tools, changed) == ({"mod_x": {"path": second["path"], "version": "2"}}, False)


@pytest.mark.parametrize("files", [(), ("a/mod_x.so@",), ("a/mod_x.so", "b/mod_x.so")], ids=["none", "a link", "two"])
def test_a_package_without_the_one_file_is_refused_and_leaves_nothing(tmp_path: Path, files: tuple[str, ...]) -> None:
    with pytest.raises(LabError, match=r"mod_x\.so: [02] files in place of one"):
        packaged_modules.provide("mod_x", "lib-mod-x", str(tmp_path), Packages(files=files))

    assert [path for path in tmp_path.iterdir() if path.is_dir()] == []
    assert packaged_modules.cached("mod_x", str(tmp_path)) is None


def test_one_that_was_left_half_done_is_not_taken(tmp_path: Path) -> None:
    half = tmp_path / "mod_x-1"
    half.mkdir()
    (half / "mod_x.so").write_text("half")
    (half / "build.json").write_text('{"path":')

    assert packaged_modules.cached("mod_x", str(tmp_path)) is None
    found, new = packaged_modules.provide("mod_x", "lib-mod-x", str(tmp_path), Packages("1"))
    assert new
    assert Path(found["path"]).read_text() == "content of 1"
    assert json.loads((half / "build.json").read_text()) == found


def test_what_cannot_be_had_is_a_tool_without_a_path_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    tools, changed = packaged_modules.provide_all(
        {"mod_x": "lib-mod-x"}, str(tmp_path / "packages"), [], refresh=False, check_mode=False
    )

    assert not changed
    assert tools["mod_x"]["path"] is None
    assert tools["mod_x"]["reason"].startswith(
        "mod_x cannot be taken out of lib-mod-x: there is neither apt-get nor dnf"
    )


def test_in_check_mode_nothing_is_fetched(tmp_path: Path) -> None:
    tools, changed = packaged_modules.provide_all(
        {"mod_x": "lib-mod-x"}, str(tmp_path / "packages"), [], refresh=False, check_mode=True
    )

    assert changed
    assert tools["mod_x"]["path"].endswith("/mod_x.so")
    assert not (tmp_path / "packages").exists()


_DNF = """\
#!/bin/sh
case "$*" in
    *download*) cp "$PACKAGES"/*.rpm "$4" ;;
    *repoquery*) echo baseos ;;
    *--dump*)
        echo "gpgcheck = $CHECKED"
        echo "gpgkey = file:///keys/distribution, https://example.org/key" ;;
esac
"""
_RPM = "#!/bin/sh\necho x86_64\n"
# The system's keys vouch for a package that says `system`, those of a directory for one that says what was imported.
_RPMKEYS = """\
#!/bin/sh
echo "$*" >>"$PACKAGES/asked"
case "$*" in
    *--import*) mkdir -p "$2" && echo "$4" >"$2/imported" ;;
    --dbpath*) grep -qxFf "$2/imported" "$6" ;;
    *) grep -qx system "$4" ;;
esac
"""


@pytest.mark.parametrize(
    ("signed", "checked", "taken"),
    [
        pytest.param("system", "1", True, id="with a key that rpm has"),
        pytest.param("/keys/distribution", "1", True, id="with a key of its repository that nobody imported yet"),
        pytest.param("https://example.org/key", "1", False, id="with a key that would have to be fetched"),
        pytest.param("nobody", "1", False, id="with no key"),
        pytest.param("nobody", "0", True, id="with no key where the administrator asks for none"),
    ],
)
def test_a_package_of_enterprise_linux_is_signed_or_not_unpacked(
    signed: str,
    checked: str,
    taken: bool,  # noqa: FBT001 -- by pytest
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`dnf download` takes from a mirror what `dnf install` would refuse."""
    programs, work = tmp_path / "bin", tmp_path / "work"
    for directory in (programs, work):
        directory.mkdir()
    for name, text in (("dnf", _DNF), ("rpm", _RPM), ("rpmkeys", _RPMKEYS)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    (tmp_path / "mod_x-1.x86_64.rpm").write_text(f"{signed}\n")
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    monkeypatch.setenv("PACKAGES", str(tmp_path))
    monkeypatch.setenv("CHECKED", checked)

    if taken:
        lab_packages.Dnf([]).fetch("mod_x", str(work))
    else:
        with pytest.raises(LabError, match="not signed with a key of its repository baseos"):
            lab_packages.Dnf([]).fetch("mod_x", str(work))

    asked = (tmp_path / "asked").read_text() if (tmp_path / "asked").exists() else ""
    assert ("_pkgverify_level signature --checksig" in asked) == (checked == "1")
