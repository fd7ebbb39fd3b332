"""Reading what `vagrant ssh-config` prints. The first text was printed by Vagrant 2.3.4 with its libvirt provider."""

import pytest

from cgidlab.errors import LabError
from cgidlab.parsers.ssh_config import parse

PRINTED = """\
Host server
  HostName 192.168.121.10
  User vagrant
  Port 22
  UserKnownHostsFile /dev/null
  StrictHostKeyChecking no
  PasswordAuthentication no
  IdentityFile "/srv/my lab/.vagrant/machines/server/libvirt/private_key"
  IdentitiesOnly yes
  LogLevel FATAL
  ProxyCommand ssh 'hypervisor.example' -l 'me' nc %h %p

Host generator1
  HostName 127.0.0.1
  User vagrant
  Port 2200
  IdentityFile /srv/lab/one
  IdentityFile /srv/lab/two

"""


def test_every_machine_is_read_with_address_port_user_and_keys() -> None:
    server, generator = parse(PRINTED)

    assert (server.name, server.address, server.port, server.user) == ("server", "192.168.121.10", 22, "vagrant")
    assert server.identity_files == ("/srv/my lab/.vagrant/machines/server/libvirt/private_key",)
    assert (generator.name, generator.port) == ("generator1", 2200)
    assert generator.identity_files == ("/srv/lab/one", "/srv/lab/two")


def test_other_keywords_are_kept_word_for_word_and_in_order() -> None:
    server, generator = parse(PRINTED)

    assert [name for name, _value in server.options] == [
        "UserKnownHostsFile",
        "StrictHostKeyChecking",
        "PasswordAuthentication",
        "IdentitiesOnly",
        "LogLevel",
        "ProxyCommand",
    ]
    assert dict(server.options)["ProxyCommand"] == "ssh 'hypervisor.example' -l 'me' nc %h %p"
    assert generator.options == ()


def test_the_first_value_counts_keywords_ignore_case_and_comments_are_skipped() -> None:
    (host,) = parse("# one\nHOST=a\n  port 2201\n  Port 22\n\n  hostname=b\n")

    assert (host.name, host.address, host.port, host.user) == ("a", "b", 2201, None)


def test_a_host_without_an_address_is_reached_by_its_name() -> None:
    (host,) = parse("Host lab.example\n")

    assert (host.address, host.port) == ("lab.example", 22)


def test_no_machine_gives_no_host() -> None:
    assert parse("\n") == ()


@pytest.mark.parametrize(
    ("text", "where"),
    [
        pytest.param("HostName before.any.host\n", "line 1: HostName before.any.host", id="a keyword before any host"),
        pytest.param("Host a\n  Port\n", "line 2: Port", id="a keyword without a value"),
        pytest.param("Host *\n", "line 1: Host *", id="a pattern"),
        pytest.param("Host a b\n", "line 1: Host a b", id="two names"),
        pytest.param("Host a\n  Port ssh\n", "the SSH configuration of a", id="a port that is none"),
    ],
)
def test_what_is_no_configuration_of_single_hosts_is_refused_with_its_place(text: str, where: str) -> None:
    with pytest.raises(LabError) as caught:
        parse(text)

    assert caught.value.where == where
