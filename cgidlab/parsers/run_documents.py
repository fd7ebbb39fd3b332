"""The documents of a run as types: what they must hold for anybody to read them (docs/results.md)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from cgidlab.parsers.document import Count, DocumentKind, Fact, Figure, HostName, Number, Positive, Size
from cgidlab.parsers.plan_document import PLAN, PlanDocument

_SMALL, _LARGE = 1 << 20, 32 << 20


# --- state.json


@dataclass(frozen=True, slots=True)
class Spent:
    """What was run when a block had ended."""

    blocks: Count
    spent_s: Size


@dataclass(frozen=True, slots=True)
class Budget:
    """Where a budget cut the run."""

    budget_s: Size
    blocks: Count


@dataclass(frozen=True, slots=True)
class LostServer:
    """A server that was lost."""

    host: str
    block: Count
    why: str


@dataclass(frozen=True, slots=True)
class ControlCpu:
    """What runner and Ansible used of a machine that trials ran on as well."""

    trials: Count
    cpu_s: Size
    windows_s: Size
    in_windows_s: Size
    cores: Positive


@dataclass(frozen=True, slots=True)
class MadeReadyEntry:
    """How long it took until a session's trials could begin."""

    target: str
    builds: tuple[str, ...]  # levels of the factor httpd
    hosts: Positive
    provisioned_s: Size
    calibrated_s: Size


@dataclass(frozen=True, slots=True)
class StateDocument:
    """`state.json`."""

    state: Literal["running", "interrupted", "finished"]
    pid: Positive | None = None
    started_ticks: Count | None = None
    boot_id: str | None = None
    changed_at: str | None = None
    asked_budget_s: Size | None = None
    expected_trials: Count | None = None
    estimated_s: Size | None = None
    spent: Spent | None = None
    stopped: str | None = None
    budget: Budget | None = None
    lost: tuple[LostServer, ...] = ()
    control_cpu: ControlCpu | None = None
    made_ready: MadeReadyEntry | None = None


# --- provenance.json


@dataclass(frozen=True, slots=True)
class Git:
    """The working copy; empty where there was none."""

    commit: str = ""
    changed: bool = False


@dataclass(frozen=True, slots=True)
class Control:
    """What the control machine runs."""

    python: str = ""
    kernel: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UsedHttpd:
    """One httpd of a host."""

    version: str | None = None
    source: str | None = None
    source_sha256: str | None = None
    build_key: str | None = None
    compiler: str | None = None


@dataclass(frozen=True, slots=True)
class UsedFile:
    """A script or a program of a host."""

    path: str | None = None
    sha256: str | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class UsedHost:
    """One host that was measured."""

    facts: Mapping[str, Fact]
    httpd: Mapping[str, UsedHttpd]
    scripts: Mapping[str, UsedFile] = field(default_factory=dict)
    tools: Mapping[str, UsedFile] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Environment:
    """What the results of a host depend on."""

    id: str
    fields: Mapping[str, Any] = field(default_factory=dict)  # of runs before the one table of fields


@dataclass(frozen=True, slots=True)
class CalibratedHttpd:
    """What was measured of an httpd."""

    connects_per_request: Size | None = None


@dataclass(frozen=True, slots=True)
class CalibratedHost:
    """Which witnesses are proven on a host."""

    run: str | None
    witnesses: Mapping[str, Mapping[str, str]]
    httpd: Mapping[str, CalibratedHttpd] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Calibration:
    """By which calibration witnesses count."""

    hosts: Mapping[str, CalibratedHost] = field(default_factory=dict)
    skipped: bool = False


@dataclass(frozen=True, slots=True)
class Headroom:
    """What a driver can do; a reason where that is not known."""

    throughput_rps: Size | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Resumed:
    """One time that the run went on."""

    at: str
    done: Count


@dataclass(frozen=True, slots=True)
class ProvenanceDocument:
    """`provenance.json`. What is not there was not recorded."""

    cgidlab: str | None = None
    git: Git = Git()
    roles_sha256: str | None = None
    playbooks_sha256: str | None = None
    measuring_sha256: str | None = None
    control: Control = field(default_factory=Control)
    experiment_sha256: str | None = None
    hosts: Mapping[str, UsedHost] = field(default_factory=dict)
    environments: Mapping[str, Environment] = field(default_factory=dict)
    calibration: Calibration | None = None
    load_headroom: Mapping[str, Mapping[str, Headroom]] = field(default_factory=dict)
    resumed: tuple[Resumed, ...] = ()


# --- what is derived, and what is kept beside


# As `analysis.findings.Answer` reads them; the last is what older runs call `equivalent`.
AnswerName = Literal[
    "costs_at_least", "equivalent", "gains_at_least", "real_near", "inconclusive", "described", "costs_less"
]


@dataclass(frozen=True, slots=True)
class HostDifference:
    """One thing of a host that is not as it was."""

    what: str
    text: str
    sense: Literal["run", "unknown", "others"]


@dataclass(frozen=True, slots=True)
class HostDifferences:
    """What is not as it was on a host, and why that is not known."""

    differences: tuple[HostDifference, ...]
    unknown: str


@dataclass(frozen=True, slots=True)
class DifferencesDocument:
    """`differences.json`."""

    hosts: Mapping[HostName, HostDifferences]


@dataclass(frozen=True, slots=True)
class SummaryVerdict:
    """The verdict of a summary."""

    overflow: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SummaryEffect:
    """One comparison of a summary."""

    response: str
    factor: str
    level: str
    reference: str
    pooled: bool
    scale: str
    estimate: Figure | None
    interval: tuple[Number, Number] | None
    answer: AnswerName
    smallest: Size | None = None
    block_sd: Size | None = None
    blocks: Count | None = None
    trimmed: Count = 0

    def __post_init__(self) -> None:
        """Refuse a ratio that is none, since its logarithm is taken, and a spread of which nothing is left."""
        known = [x for x in (self.estimate, *(self.interval or ())) if x is not None]
        if self.scale == "ratio" and (any(x < 0 for x in known) or (self.estimate == 0 and self.interval)):
            raise ValueError(f"has a ratio of {min(known):.3g}, which nothing has")
        if self.block_sd is not None and self.blocks is not None and 2 * self.trimmed >= self.blocks:
            raise ValueError(f"has a spread, and leaves out {self.trimmed} of {self.blocks} blocks at either end")


@dataclass(frozen=True, slots=True)
class SummaryCell:
    """One cell of a summary."""

    levels: Mapping[str, str]
    medians: Mapping[str, Figure | None]


@dataclass(frozen=True, slots=True)
class SummaryDocument:
    """`summary.json`, as far as it is read again."""

    trials: Mapping[str, Count]
    verdict: SummaryVerdict
    effects: tuple[SummaryEffect, ...]
    cells: tuple[SummaryCell, ...]
    block_s: Size | None = None


@dataclass(frozen=True, slots=True)
class ObservationDocument:
    """`observation.json` of a run."""

    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CalibratedBuild:
    """One httpd of a calibration."""

    build_key: str
    connects_per_request: Size | None = None


@dataclass(frozen=True, slots=True)
class CalibrationEntry:
    """One host of a calibration."""

    machine_id_sha256: str | None
    kernel: str | None
    helper: str
    witnesses: Mapping[str, Mapping[str, str]]
    builds: tuple[CalibratedBuild, ...] = ()


@dataclass(frozen=True, slots=True)
class CalibrationDocument:
    """`calibration.json`."""

    hosts: tuple[CalibrationEntry, ...]


SUMMARY = DocumentKind("summary.json", SummaryDocument, _LARGE)
CALIBRATION = DocumentKind("calibration.json", CalibrationDocument)
OF_A_RUN: Mapping[str, DocumentKind[Any]] = {
    kind.name: kind
    for kind in (
        PLAN,
        SUMMARY,
        CALIBRATION,
        DocumentKind("asked.json", PlanDocument, 32 << 20),
        DocumentKind("state.json", StateDocument, _SMALL),
        DocumentKind("provenance.json", ProvenanceDocument),
        DocumentKind("differences.json", DifferencesDocument),
        DocumentKind("observation.json", ObservationDocument),
    )
}
"""What lies in a run's directory and is read as it is, by its name."""
