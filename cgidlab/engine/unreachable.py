"""What ssh's words mean for the user: the only module that knows them."""

import re

_ADVICE = (
    (
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        "if you set the host up anew, `ssh-keygen -R ADDRESS` and connect once by hand; else find out who answers",
    ),
    ("Host key verification failed", "connect once with ssh, compare the key with the host's own, and accept it"),
    ("Permission denied", "give the host your public key (ssh-copy-id), and name the right ansible_user"),
    ("Could not resolve hostname", "correct ansible_host in the inventory, or the name service"),
    ("Connection refused", "start the host's SSH server, or correct ansible_port"),
    ("timed out", "see whether the host is up, ansible_host is right and no firewall drops port 22"),
    ("No route to host", "see whether the host is up, ansible_host is right and the network leads there"),
    ("Network is unreachable", "see whether ansible_host is right and the network leads there"),
)
_ELSE = "try `ssh HOST true` by hand until it answers"
_NOISE = re.compile(r"^@+|^(Task failed|Failed to connect).*?(over|via) ssh:\s*@*$")
_PREFIX = re.compile(r"^.*?(Make sure this host can be reached over ssh|Failed to connect to the host via ssh):\s*")


def advice(message: str) -> str:
    """Return what to do about a host that Ansible could not reach, by what ssh said."""
    return next((told for words, told in _ADVICE if words in message), _ELSE)


def in_short(message: str) -> str:
    """Return the one line of ssh's words that says what is wrong."""
    if "REMOTE HOST IDENTIFICATION HAS CHANGED" in message:
        return next(
            (line for line in message.splitlines() if "has changed and you have requested" in line),
            "its host key is not the one that is known here",
        )
    lines = [_PREFIX.sub("", line).strip() for line in message.splitlines()]
    told = [line for line in lines if line and not _NOISE.match(line)]
    return told[-1] if told else message.strip()
