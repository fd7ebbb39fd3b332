"""Which witnesses count: those whose controls passed on the host, by the calibrations that are kept."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cgidlab import calibrate, figures
from cgidlab.errors import StoreError
from cgidlab.instruments import WITNESSES
from cgidlab.model import TrialRecord
from cgidlab.parsers import run_documents

FILE = "calibration.json"
_KEY = ("machine_id_sha256", "kernel", "helper")


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a host's witnesses: how each did, and in which calibration."""

    run: str | None  # None: never calibrated
    witnesses: Mapping[str, Mapping[str, str]]
    builds: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # what was measured of an httpd, by build key

    @property
    def proven(self) -> frozenset[str]:
        """Return the witnesses whose controls passed."""
        return calibrate.proven(self.witnesses)

    def settled(self, wanted: frozenset[str]) -> bool:
        """Say whether another calibration would tell no more: each wanted witness is proven, or cannot run here."""
        said = self.witnesses
        return self.run is not None and all(
            w in self.proven or set(said.get(w, {}).values()) == {"unavailable"} for w in wanted
        )


def standing(results: Path, key: Mapping[str, Any]) -> Standing:
    """Return what all kept calibrations of one host and kernel say together; once proven is proven."""
    run: str | None = None
    known: dict[str, Mapping[str, str]] = {}
    builds: dict[str, Mapping[str, Any]] = {}
    for name, entry in _kept(results):
        if any(entry.get(part) != key[part] for part in _KEY):
            continue
        run = name
        builds |= {str(build["build_key"]): build for build in entry.get("builds", ())}
        newly = calibrate.proven(entry["witnesses"])
        already = calibrate.proven(known)
        known |= {w: said for w, said in entry["witnesses"].items() if w in newly or w not in already}
    return Standing(run, known, builds)


def _kept(results: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each host of each calibration that can be read, oldest first."""
    for path in sorted((results / calibrate.NAME).resolve().glob(f"*/{FILE}")):
        if path.parent.is_symlink():
            continue  # latest
        try:
            yield from ((path.parent.name, entry) for entry in run_documents.CALIBRATION.read_raw(path)["hosts"])
        except StoreError:
            continue  # of another version, or torn: it proves nothing


def counted(
    records: Sequence[TrialRecord], calibration: Mapping[str, Any] | None
) -> tuple[tuple[TrialRecord, ...], tuple[str, ...]]:
    """Return the records as a verdict may see them, and what has to be said about it.

    Figures of a witness that is not proven on a trial's host are taken as not
    observed, and each record gets what was measured of its httpd. `calibration` is that of
    provenance.json; None: a run from before there was any, which is taken as it is.
    """
    if calibration is None:
        return tuple(records), ()
    if calibration.get("skipped"):
        return tuple(records), ("the witnesses were not calibrated (--uncalibrated)",)
    kept, dropped = [], set()
    for record in records:
        host = calibration.get("hosts", {}).get(record.host, {})
        said = host.get("witnesses", {})
        httpd = host.get("httpd", {}).get(str(record.settings.get("httpd")), {})
        good = calibrate.proven(said)
        names = {name: w.name for w in WITNESSES if w.name not in good for name in figures.of(w.name)}
        seen = {name for name in names if getattr(record.figures, name) is not None}
        dropped |= {(names[name], record.host) for name in seen}
        without = replace(record.figures, **dict.fromkeys(seen))
        kept.append(replace(record, figures=without, connects_per_request=httpd.get("connects_per_request")))
    return tuple(kept), tuple(
        f"{witness} is not proven on {host} (its controls did not pass) and is not counted"
        for witness, host in sorted(dropped)
    )
