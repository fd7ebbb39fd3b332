"""From machines as Vagrant describes them to an inventory for Ansible."""

import shlex

import pytest

from cgidlab.engine.vagrant import inventory_of
from cgidlab.errors import ProvisionError
from cgidlab.parsers.ssh_config import SshHost

OPTIONS = (
    ("StrictHostKeyChecking", "no"),
    ("LogLevel", "FATAL"),
    ("ProxyCommand", "ssh 'hypervisor.example' -W %h:%p"),
)


def machine(name: str, *, keys: tuple[str, ...] = ("/lab/key",), user: str | None = "vagrant") -> SshHost:
    """Return a machine as `vagrant ssh-config` shows it."""
    return SshHost(name, "192.168.121.7", 2222, user, keys, OPTIONS)


def test_machines_are_grouped_by_what_their_names_begin_with() -> None:
    found = inventory_of((machine("server"), machine("generator1"), machine("generator2"), machine("database")), {})

    children = found["all"]["children"]
    assert list(children["servers"]["hosts"]) == ["server"]
    assert list(children["generators"]["hosts"]) == ["generator1", "generator2"]


def test_without_a_generator_the_server_is_in_both_groups() -> None:
    children = inventory_of((machine("server"),), {})["all"]["children"]

    assert list(children["generators"]["hosts"]) == ["server"]
    assert children["servers"]["hosts"]["server"]["ansible_port"] == 2222


def test_ssh_gets_every_option_word_for_word_but_says_why_it_failed() -> None:
    host = inventory_of((machine("server", keys=("/lab/one", "/my lab/two")),), {})["all"]["children"]["servers"]

    variables = host["hosts"]["server"]
    assert variables["ansible_host"] == "192.168.121.7"
    assert variables["ansible_user"] == "vagrant"
    assert variables["ansible_ssh_private_key_file"] == "/lab/one"
    assert shlex.split(variables["ansible_ssh_common_args"]) == [
        '-oIdentityFile="/my lab/two"',
        "-oStrictHostKeyChecking=no",
        "-oProxyCommand=ssh 'hypervisor.example' -W %h:%p",
        "-oLogLevel=ERROR",
    ]


def test_a_machine_knows_its_address_in_the_shared_network() -> None:
    hosts = (machine("server"), machine("generator1"))

    children = inventory_of(hosts, {"server": "192.168.56.10"})["all"]["children"]

    assert children["servers"]["hosts"]["server"]["cgidlab_address"] == "192.168.56.10"
    assert "cgidlab_address" not in children["generators"]["hosts"]["generator1"]


def test_user_and_key_are_left_to_ssh_where_vagrant_names_none() -> None:
    host = inventory_of((machine("server", keys=(), user=None),), {})["all"]["children"]["servers"]["hosts"]["server"]

    assert {"ansible_user", "ansible_ssh_private_key_file"} & set(host) == set()


def test_machines_without_a_server_are_refused() -> None:
    with pytest.raises(ProvisionError, match="none of Vagrant's machines is a server") as caught:
        inventory_of((machine("generator1"),), {})

    assert caught.value.fix == "run: vagrant up server"
