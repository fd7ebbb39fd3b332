"""Which box the Vagrantfile takes, and that it takes none whose checksum it does not know: asked of the real Vagrant.

A server on the loopback address publishes files as CentOS does; nothing is downloaded but them.
"""

import functools
import http.server
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(
    shutil.which("vagrant") is None, reason="vagrant is not installed (playbooks/test-tools.yml does it)"
)
ASK = """\
load ENV.fetch('LAB_VAGRANTFILE')
Cgidlab.send(:remove_const, :IMAGES)
Cgidlab::IMAGES = "#{ENV.fetch('LAB_SITE')}/%<release>s/"
puts "chosen #{Cgidlab.choose(Pathname.new(ENV.fetch('LAB_PLACE')), 'libvirt').to_json}"
"""
BOX = "CentOS-Stream-Vagrant-9-{}.x86_64.vagrant-{}.box"


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_words: Any) -> None:  # noqa: ANN401 -- as the base class has it
        """Say nothing."""


@dataclass(frozen=True)
class Publisher:
    """A site of boxes below a directory, and Vagrant asked about it."""

    site: str
    directory: Path
    repo_root: Path

    def publish(self, name: str, text: str) -> None:
        """Put a file where release 9 has its images."""
        path = self.directory / "site" / "9" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def ask(self, **settings: str) -> tuple[dict[str, str] | None, str]:
        """Return the box that is chosen, and what Vagrant said."""
        project = self.directory / "project"
        project.mkdir(exist_ok=True)
        (project / "Vagrantfile").write_text(ASK)
        own = {
            "LAB_VAGRANTFILE": str(self.repo_root / "Vagrantfile"),
            "LAB_SITE": self.site,
            "LAB_PLACE": str(self.directory / "place"),
            "VAGRANT_HOME": str(self.directory / "home"),
            "VAGRANT_DOTFILE_PATH": str(self.directory / "state"),
            "VAGRANT_CHECKPOINT_DISABLE": "1",
        }
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("CGIDLAB_", "VAGRANT_"))}
        ran = subprocess.run(
            ["/usr/bin/env", "vagrant", "validate", "--ignore-provider"],
            cwd=project,
            env={**clean, **own, **settings},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        said = ran.stdout + ran.stderr
        chosen = [line.removeprefix("chosen ") for line in said.splitlines() if line.startswith("chosen ")]
        assert bool(chosen) == (ran.returncode == 0), said
        return (json.loads(chosen[0]) if chosen else None), said


@pytest.fixture
def publisher(tmp_path: Path, repo_root: Path) -> Iterator[Publisher]:
    """Publish an empty site."""
    (tmp_path / "site").mkdir()
    handler = functools.partial(_Quiet, directory=str(tmp_path / "site"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Publisher(f"http://127.0.0.1:{server.server_address[1]}", tmp_path, repo_root)
        server.shutdown()


def line(date: str, sha256: str, kind: str = "libvirt") -> str:
    """Return a box's lines in CHECKSUM, as CentOS writes them."""
    name = BOX.format(date, kind)
    return f"# {name}: 1063153664 bytes\nSHA256 ({name}) = {sha256}\n"


def test_the_newest_dated_box_of_the_provider_is_taken_and_stays(publisher: Publisher) -> None:
    boxes = line("20260302.0", "a" * 64) + line("20260526.10", "b" * 64) + line("20260526.9", "c" * 64)
    others = line("20260601.0", "d" * 64, "virtualbox") + line("latest", "e" * 64)
    publisher.publish("CHECKSUM", boxes + others + "SHA256 (CentOS-Stream-GenericCloud-9-20260701.0) = " + "f" * 64)

    chosen, said = publisher.ask()

    name = BOX.format("20260526.10", "libvirt")
    want = {"name": name.removesuffix(".box"), "url": f"{publisher.site}/9/{name}", "sha256": "b" * 64}
    assert chosen == want, said
    publisher.publish("CHECKSUM", line("20260801.0", "9" * 64))
    assert publisher.ask()[0] == want


def test_a_box_with_two_checksums_is_passed_over(publisher: Publisher) -> None:
    publisher.publish(
        "CHECKSUM", line("20260302.0", "a" * 64) + line("20260526.0", "b" * 64) + line("20260526.0", "c" * 64)
    )

    chosen, said = publisher.ask()

    assert chosen is not None, said
    assert chosen["sha256"] == "a" * 64


def test_where_no_dated_box_is_listed_the_latest_is_taken_with_the_checksum_beside_it(publisher: Publisher) -> None:
    publisher.publish("CHECKSUM", line("20260601.0", "d" * 64, "virtualbox"))
    latest = BOX.format("latest", "libvirt")
    publisher.publish(f"{latest}.SHA256SUM", f"SHA256 ({latest}) = {'7' * 64}\n")

    chosen, said = publisher.ask()

    assert chosen == {"name": latest.removesuffix(".box"), "url": f"{publisher.site}/9/{latest}", "sha256": "7" * 64}, (
        said
    )


def test_nothing_is_chosen_where_no_checksum_can_be_had(publisher: Publisher) -> None:
    chosen, said = publisher.ask()

    assert chosen is None
    assert "cannot be read, so the box could not be verified" in said
    assert "CGIDLAB_BOX_CHECKSUM" in said
    assert not (publisher.directory / "place").exists()


def test_another_box_comes_with_a_checksum_beside_it_or_in_the_environment(publisher: Publisher) -> None:
    url = f"{publisher.site}/9/lab.box"
    publisher.publish("CHECKSUM", "SHA256 (lab.box) = " + "5" * 64 + "\n")

    beside, said = publisher.ask(CGIDLAB_BOX_URL=url)
    assert beside == {"name": "lab", "url": url, "sha256": "5" * 64}, said

    elsewhere = f"{publisher.site}/9/other.box"
    assert publisher.ask(CGIDLAB_BOX_URL=elsewhere)[0] is None
    given, said = publisher.ask(CGIDLAB_BOX_URL=elsewhere, CGIDLAB_BOX_CHECKSUM="A" * 64)
    assert given == {"name": "other", "url": elsewhere, "sha256": "a" * 64}, said
