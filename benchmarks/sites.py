"""Hosts made ready for a benchmark's trials, as a run would have it done."""

from pathlib import Path

from benchmarks.figures import ROOT
from cgidlab.design import catalogue, plan, spec, strict_yaml
from cgidlab.engine import ansible, execute
from cgidlab.model import Plan
from cgidlab.parsers.host_report import HostReport

LOCAL = execute.Site(ROOT, ROOT / "inventories" / "local.yml")


def planned(text: str, site: execute.Site = LOCAL) -> Plan:
    """Return the plan of an experiment file's text."""
    known = catalogue.load(site.roles)
    return plan.make(spec.build(strict_yaml.parse(text.encode(), "benchmark"), known), known)


def provisioned(design: Plan, work: Path, site: execute.Site = LOCAL) -> HostReport:
    """Make the first server of a site ready for a plan and return what is there; its report stays in `work/hosts`."""
    directories = (work / "hosts", work / "snapshots", work / "provision")
    return execute.provision(site, design, *directories, ansible.Callbacks())[0]
