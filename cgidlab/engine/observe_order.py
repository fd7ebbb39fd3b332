"""What an observation was asked for on the command line."""

from dataclasses import dataclass
from pathlib import Path

NAME = "observe"


@dataclass(frozen=True, slots=True)
class ObservationRequest:
    """What to watch, where, and how."""

    root: Path
    target: str | None  # an inventory; None: this machine, or the system's inventory for `hosts`
    hosts: str | None  # Ansible's pattern; None: all of the inventory
    duration_s: float | None  # None: until stopped, or until the first overflow
    until_full: bool
    around_s: float
    cost_share: float
    sockets: tuple[str, ...]
    status_url: str
    error_logs: tuple[str, ...]  # on the observed host
    become: bool
    poll_s: float
    every: bool = False  # all listening unix sockets, a line each
    whole_requests: bool = False  # of workers that sleep in connect(): request lines and addresses as they are
