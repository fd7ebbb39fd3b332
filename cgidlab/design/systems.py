"""Which system under test a trial's settings mean: what stands behind httpd (cgidhost.sut has its half on the host)."""

from cgidlab.model import Settings

CGID, CGI = "cgid", "cgi"
SYSTEMS = (CGID, CGI)


def system_of(settings: Settings) -> str:
    """Return the name of the system; prefork pairs with mod_cgi, which has no daemon."""
    return CGI if settings["mpm"] == "prefork" else CGID


def has_queue(settings: Settings) -> bool:
    """Say whether it has a queue of its own, whose overflow can be asked for."""
    return system_of(settings) == CGID
