"""What a trial costs over SSH beside its warm-up and window, next to one `ansible-playbook` a trial.

    python -m benchmarks.trials_ssh [--rounds 3] [--trials 10]

The host is a real SSH host made from namespaces on this machine (tests/rigs/ssh_hosts.py; root, openssh-server).
Both ways run in turns, over the same pipelined and multiplexed connection.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from statistics import median

from benchmarks import figures, peers, sites
from benchmarks.figures import ROOT, Row, Series
from benchmarks.trials import WARMUP_S, WINDOW_S, Block, make_plan, run_block, write_conf
from cgidlab.engine import execute
from tests.rigs import ssh_hosts

GOAL_S = 0.8
ON_HOST = Path("/var/tmp/cgidlab-peer")  # noqa: S108 -- on a host that is made for this and taken down after it


def main() -> int:
    """Measure both ways in turns, print and keep the row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=10)
    args = parser.parse_args()
    if ssh_hosts.missing():
        figures.say(f"skipped: {ssh_hosts.missing()}")
        return 0
    work = Path(tempfile.mkdtemp(prefix="cgidlab-bench-"))
    work.chmod(0o755)
    try:
        with ssh_hosts.Rig(1) as rig:
            row = _measure(args.rounds, args.trials, rig.write_inventory("one.yml"), work)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    figures.write("trials_ssh", [row])
    return 0


def _measure(rounds: int, trials: int, inventory: Path, work: Path) -> Row:
    site = execute.Site(ROOT, inventory)
    design = make_plan(trials, rounds)
    host = sites.provisioned(design, work, site)
    httpd = next(iter(host.httpd.values())).binary
    blocks: list[Block] = []
    theirs: list[float] = []
    for number in range(rounds):
        figures.say(f"round {number + 1} of {rounds}")
        blocks.append(run_block(site, host, design, number, work))
        conf = write_conf(blocks[0].first, ON_HOST, work / "peer.conf")
        took_s = peers.playbooks(inventory, host.host, conf, peers.Script(ON_HOST, httpd), trials)
        theirs += [t - WARMUP_S - WINDOW_S for t in took_s]
    spacing_s = [s for b in blocks for s in b.spacing_s]
    return Row(
        f"overhead of a trial over SSH to a namespace host; blocks of {trials}",
        f"<= {GOAL_S} s",
        median(spacing_s) <= GOAL_S,
        (
            Series("from one trial's begin to the next one's", "s", spacing_s),
            Series("with Ansible's start, a trial's share of its block", "s", [b.wall_s for b in blocks]),
        ),
        (Series("one `ansible-playbook` a trial", "s", theirs),),
    )


if __name__ == "__main__":
    sys.exit(main())
