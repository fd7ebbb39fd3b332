"""Which system under test a trial's settings mean: what stands behind httpd (cgidhost.sut has its half on the host)."""

from collections.abc import Iterable, Mapping
from itertools import product

from cgidlab.model import Factor, Settings

CGID, CGI, FCGID = "cgid", "cgi", "fcgid"
PROXIED = ("fcgiwrap", "php_fpm", "gunicorn", "uwsgi")
"""Those with a program of their own, which mod_proxy hands requests to."""
PROVIDED = (FCGID, *PROXIED)
"""Those that need a program or a module of the distribution."""
SYSTEMS = (CGID, CGI, *PROVIDED)
AUTO = "auto"
RUNNING_SCRIPTS = (CGID, CGI, FCGID, "fcgiwrap")
"""Those that run CGI scripts as programs; the others have the scripts' work in a language of their own."""
OWN_SCRIPTS = "path:"
"""In front of a script of the user's, as the setting `script` names it."""

MEANS_SOMETHING: Mapping[str, tuple[str, ...]] = {
    "listen_backlog": (CGID, *PROXIED),
    "cgid_nice": (CGID,),
    "children": PROVIDED,
}
"""Options that have an effect with some systems alone, beside those that mod_cgid is compiled with."""
_WITHOUT_QUEUE = (CGI, FCGID)
_REFUSES_A_CLAMP = ("uwsgi",)
_DECIDING = ("handler", "mpm")


def knowing(name: str, compiled: Iterable[str]) -> tuple[str, ...]:
    """Return the systems with which an option has an effect; `compiled` are those that mod_cgid is compiled with."""
    return MEANS_SOMETHING.get(name, (CGID,) if name in compiled else SYSTEMS)


def system_of(settings: Settings) -> str:
    """Return the name of the system. Where none is named, prefork pairs with mod_cgi, which has no daemon."""
    handler = str(settings.get("handler", AUTO))  # plans of older versions name none
    if handler != AUTO:
        return handler
    return CGI if settings["mpm"] == "prefork" else CGID


def has_queue(settings: Settings) -> bool:
    """Say whether it has a queue of its own, whose overflow can be asked for."""
    return system_of(settings) not in _WITHOUT_QUEUE


def refuses_a_clamp(settings: Settings) -> bool:
    """Say whether it ends where its queue would be cut down to net.core.somaxconn, and does not take what it gets."""
    return system_of(settings) in _REFUSES_A_CLAMP


def has_cgid(settings: Settings) -> bool:
    """Say whether it is mod_cgid, whose witnesses calibration proves."""
    return system_of(settings) == CGID


def script_file(script: str) -> str:
    """Return the name that a script has below /cgi-bin/, by the setting that names it."""
    return script.removeprefix(OWN_SCRIPTS).rpartition("/")[2]


def possible(settings: Settings, factors: Iterable[Factor]) -> tuple[str, ...]:
    """Return the systems that cells may have, by fixed settings and by factors."""
    axes = [[(f.name, level.value) for level in f.levels] for f in factors if f.name in _DECIDING]
    return tuple(dict.fromkeys(system_of({**settings, **dict(levels)}) for levels in product(*axes)))
