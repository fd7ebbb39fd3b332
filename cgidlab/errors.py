"""What can go wrong, one class per thing the user does next. A leaf: it imports nothing of ours."""

from typing import ClassVar

_BELOW = "\n    "
_NO_LINE = "\N{REPLACEMENT CHARACTER}"  # as `terminal.cell` has it


class LabError(Exception):
    """A failure whose message is fit to show without a traceback.

    `what` says what is wrong, `where` points at the file and key, `fix` says
    what to type or change. Construction has no side effects: printing belongs
    to `cli`.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.fix = fix

    def __str__(self) -> str:
        """Return the message as the user sees it: one to three lines, and what others said indented below the first.

        A name in it, which may be a stranger's, begins no line.
        """
        lines = [f"error: {_BELOW.join(self.what.splitlines())}"]
        if self.where:
            lines.append(f"  at:  {_NO_LINE.join(self.where.splitlines())}")
        if self.fix:
            lines.append(f"  fix: {_NO_LINE.join(self.fix.splitlines())}")
        return "\n".join(lines)


class SpecError(LabError):
    """The experiment file or the command line is wrong; nothing was touched."""

    exit_code = 2


class ProvisionError(LabError):
    """A host could not be made ready; no trial was run."""

    exit_code = 3


class StoreError(LabError):
    """A run directory or a file of it cannot be read or written."""

    exit_code = 1


class RunError(LabError):
    """The run ended, but not with valid trials alone."""

    exit_code = 4


class UnmetError(LabError):
    """The run shows that what its file requires is not so, or does not show that it is."""

    exit_code = 5


class InterruptedRun(LabError):  # noqa: N818 -- an outcome the user asked for, not a fault
    """The user stopped the run; what was finished is kept."""

    exit_code = 130
