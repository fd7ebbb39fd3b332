"""The httpd.conf of trials before there are any: what an experiment adds to it is checked when hosts are made ready."""

import json
from typing import Any

from cgidlab.design.catalogue import Catalogue
from cgidlab.design.systems import PROVIDED, system_of
from cgidlab.model import Plan

LOOPBACK = "127.0.0.1"
SERVER_USER = "nobody"
SERVER_GID = 65534  # of nobody's group on every supported distribution, whatever its name


def to_check(plan: Plan, catalogue: Catalogue) -> list[dict[str, Any]]:
    """Return each httpd.conf of a plan that not all trials have, once, as its template takes it.

    Those with directives of the experiment's own, and those with modules that another version may not have.
    """
    found: dict[str, dict[str, Any]] = {}
    for cell in plan.cells:
        if not cell.settings["extra_directives"] and system_of(cell.settings) not in PROVIDED:
            continue
        options = catalogue.long_names({name: cell.settings[name] for name in catalogue.of_roles("server")})
        of_system = {name: cell.settings[name] for name in catalogue.of_roles("systems")}
        one = {
            "httpd": str(cell.settings["httpd"]),
            "system": system_of(cell.settings),
            "options": options,
            "settings": of_system,
        }
        place = {"number": 0, "cell": cell.id, "listen": LOOPBACK, "remote": None, "finishing": 0}
        user = {"server_user": SERVER_USER, "server_gid": SERVER_GID}
        found.setdefault(json.dumps(one, sort_keys=True), {**one, **place, **user})
    return list(found.values())
