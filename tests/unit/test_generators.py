"""Load from several machines: how it is split, who loads whom, and what blocks the hosts are handed."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgidlab.design import catalogue, plan, spec, strict_yaml
from cgidlab.engine import execute, generators
from cgidlab.errors import ProvisionError, SpecError
from cgidlab.model import Trial
from cgidlab.parsers.host_report import GeneratorReport, HostReport, Httpd
from tests.variants import compiled

ROOT = Path(__file__).parents[2]
CATALOGUE = catalogue.load(ROOT / "roles")
VARIANT: dict[str, bool | int | float | str] = {
    **compiled(CATALOGUE, listen_backlog=100),
    "path": "/v",
    "sha256": "sum",
}
HTTPD = Httpd("/h/bin/httpd", "/h/modules", "2.4.68", "src", "s", "k", (), (VARIANT,))
SERVER = HostReport(
    host="web1",
    python="/usr/bin/python3",
    become=True,
    work_dir="/w",
    helper="/c/cgidhost.pyz",
    httpd={"distro": HTTPD},
    scripts_dir="/s",
    tools={"h2load": "/h2"},
    raw={},
    address="192.0.2.1",
)


def generator(number: int) -> GeneratorReport:
    return GeneratorReport(
        host=f"g{number}",
        python="/usr/bin/python3",
        become=False,
        work_dir="/g",
        helper="/c/helper",
        tools={"h2load": "/h2"},
        address=f"192.0.2.1{number}",
        raw={},
    )


GENERATORS = tuple(generator(n) for n in range(3))


def trial(**settings: object) -> Trial:
    """Return one trial of a file with these settings."""
    lines = "".join(f"  {name}: {value}\n" for name, value in settings.items())
    text = (
        "schema_version: 1\nname: x\nquestion: q?\nfactors: {listen_backlog: [100]}\nrepetitions: 1\n"
        "warmup_s: 1\nwindow_s: 4\n" + (f"settings:\n{lines}" if lines else "")
    )
    return plan.make(spec.build(strict_yaml.parse(text.encode(), "x.yml"), CATALOGUE), CATALOGUE).trials[0]


@given(st.integers(0, 10_000), st.integers(1, 50), st.sampled_from([1, 10]))
def test_a_split_adds_up_exactly_and_is_even_to_one_step(steps: int, parts: int, step: int) -> None:
    got = generators.split(steps * step, parts, step)

    assert len(got) == parts
    assert sum(got) == steps * step
    assert max(got) - min(got) <= step
    assert all(part % step == 0 for part in got)
    assert list(got) == sorted(got, reverse=True)


def test_clients_of_a_closed_loop_are_split_and_the_rest_goes_to_the_first() -> None:
    got = generators.busy(trial(clients=100).cell.settings, GENERATORS)

    assert [(g.host, share.clients) for g, share in got] == [("g0", 34), ("g1", 33), ("g2", 33)]


def test_a_rate_is_split_in_steps_that_can_be_sent_evenly() -> None:
    got = generators.busy(trial(loop="open", rate=500).cell.settings, GENERATORS)

    assert [share.rate for _, share in got] == [170, 170, 160]


@pytest.mark.parametrize(
    ("settings", "want"),
    [({"clients": 2}, ["g0", "g1"]), ({"loop": "open", "rate": 10}, ["g0"])],
    ids=["two clients for three", "a rate that cannot be parted"],
)
def test_a_generator_that_would_have_nothing_to_do_is_left_out(settings: dict[str, object], want: list[str]) -> None:
    assert [g.host for g, _ in generators.busy(trial(**settings).cell.settings, GENERATORS)] == want


def test_each_generator_loads_one_server_and_none_is_left_over() -> None:
    servers, names = ["b", "a"], ["g1", "g2", "g3"]

    dealt = {s: generators.assigned(s, servers, names) for s in servers}

    assert dealt == {"a": ("g1", "g3"), "b": ("g2",)}


def test_too_few_generators_are_refused_with_what_to_do() -> None:
    with pytest.raises(ProvisionError, match="2 servers but 1 generators") as caught:
        generators.assigned("a", ["a", "b"], ["g1"])

    assert "in both loads itself" in caught.value.fix


def test_a_server_without_generators_of_its_own_loads_itself(tmp_path: Path) -> None:
    assert generators.of_server(tmp_path, SERVER) == ()
    assert generators.placed((trial(),), ())[0].cell.settings["isolation"] == "namespaces"


def test_trials_that_others_load_run_on_the_hosts_own_network_and_say_so() -> None:
    (placed,) = generators.placed((trial(),), GENERATORS)

    assert placed.cell.settings["isolation"] == "host"
    assert placed.key == trial().key


def test_a_driver_whose_logs_cannot_be_merged_is_refused_by_name() -> None:
    with pytest.raises(SpecError, match="several ab cannot be merged"):
        generators.placed((trial(driver="ab"),), GENERATORS)


def test_an_address_that_is_neither_a_number_nor_a_known_name_is_refused_with_the_variable_to_set() -> None:
    with pytest.raises(ProvisionError, match=r"nowhere\.invalid") as caught:
        generators.ipv4("nowhere.invalid", "g1")

    assert "cgidlab_address" in caught.value.fix
    assert generators.ipv4("192.0.2.7", "g1") == "192.0.2.7"


def block(*generators_of_it: GeneratorReport) -> execute.BlockNeeds:
    return execute.BlockNeeds(Path(), SERVER, "/w/run-block-001", generators_of_it)


def test_a_server_listens_on_its_address_for_its_generators_alone_and_on_loopback_without_them() -> None:
    (placed,) = generators.placed((trial(clients=2),), GENERATORS)

    alone = execute.block_json(block(), (trial(),), CATALOGUE)["trials"][0]
    loaded = execute.block_json(block(*GENERATORS), (placed,), CATALOGUE)["trials"][0]

    assert (alone["listen"], alone["remote"]) == ("127.0.0.1", None)
    assert loaded["listen"] == "192.0.2.1"
    assert loaded["remote"]["sources"] == ["192.0.2.10", "192.0.2.11"]  # two clients: the third has nothing to do


def test_a_generators_load_begins_before_the_window_and_outlasts_it() -> None:
    settings = trial(clients=5, max_start_lag_s=0.4).cell.settings

    got = generators.settings_of(trial(clients=5, max_start_lag_s=0.4), generators.Share(2, 0))

    assert got["clients"] == 2
    assert got["window_s"] == pytest.approx(4 + 2 * (0.4 + generators.SPARE_S))
    assert generators.load_s(settings) == pytest.approx(1 + float(got["window_s"]))
