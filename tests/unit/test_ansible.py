"""What Ansible's results mean for the one who reads them."""

from cgidlab.engine import ansible


def heard(kind: str, **result: object) -> list[ansible.TaskFailure]:
    collected = ansible._Collected()  # noqa: SLF001 -- events come from ansible-runner alone
    event = {"event": kind, "event_data": {"host": "web1", "task": "Do it", "res": result}}
    ansible._heard(event, ansible.Callbacks(), collected)  # noqa: SLF001 -- same
    return collected.failures


def test_a_host_that_went_silent_in_a_loop_has_its_own_words() -> None:
    items = [{"item": 1, "msg": "fine"}, {"item": 2, "msg": "connection timed out", "unreachable": True}]

    (failure,) = heard("runner_on_unreachable", msg="All items completed", results=items)

    assert failure.unreachable
    assert failure.message == "connection timed out"


def test_a_modules_traceback_is_cut_to_what_happened() -> None:
    stderr = (
        'Traceback (most recent call last):\n  File "<stdin>", line 3, in <module>\n    write()\n'
        "OSError: [Errno 28] No space left on device\nShared connection closed."
    )

    (failure,) = heard("runner_on_failed", msg="MODULE FAILURE", stderr=stderr)

    assert failure.message.splitlines() == [
        "MODULE FAILURE",
        "OSError: [Errno 28] No space left on device",
        "Shared connection closed.",
    ]


def test_a_traceback_behind_ansibles_own_words_is_cut_to_what_happened() -> None:
    msg = (
        "Failed to get information on remote file (/w/block.json): Traceback (most recent call last):\n"
        '  File "<stdin>", line 266, in <module>\nOSError: [Errno 28] No space left on device'
    )

    (failure,) = heard("runner_on_failed", msg=msg)

    assert failure.message.splitlines() == [
        "Failed to get information on remote file (/w/block.json):",
        "OSError: [Errno 28] No space left on device",
    ]


def test_bytes_that_are_no_text_are_spelt_out() -> None:
    """A reason that no reader takes for text ended the run: what had just been written could not be read."""
    (failure,) = heard("runner_on_failed", msg="answered \udcff\ud800 x")

    assert failure.message == r"answered \udcff\ud800 x"
