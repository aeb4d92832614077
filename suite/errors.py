"""Every error a caller of ampmark may meet.

::

    SuiteError                     what went wrong, the value got, what to do: one sentence
    ├── UsageError                 a name, option or profile that does not exist or does not fit
    ├── ResultsError               stored results cannot be used
    │   ├── NoResults              nothing is stored where it was looked for
    │   ├── DamagedResults         a stored file is unreadable or is not what was sealed
    │   ├── NewerSchema            written by a newer ampmark
    │   └── UnwritableResults      a folder cannot be written to
    ├── NoBaseline                 no approved baseline fits this machine
    ├── Incomparable               two runs differ in something that must be equal
    ├── Unsupported                this machine cannot do what a trial asks for (becomes an outcome)
    │   ├── PrecisionUnsupported   this device cannot compute in this precision
    │   ├── CompilationUnsupported torch.compile cannot compile this model here
    │   └── DeterminismUnsupported an operator has no deterministic form on this device
    ├── AnchorFailed               the approved baseline's code could not be run again
    └── JobFailed                  a process that was asked for something other than a trial gave no answer
        └── SurveyFailed           the machine could not be described, so nothing can be run

What goes wrong inside a trial is never an error here: it is a record with an outcome and a reason.
"""

from __future__ import annotations

__all__ = [
    "AnchorFailed",
    "CompilationUnsupported",
    "DamagedResults",
    "DeterminismUnsupported",
    "Incomparable",
    "JobFailed",
    "NewerSchema",
    "NoBaseline",
    "NoResults",
    "PrecisionUnsupported",
    "ResultsError",
    "SuiteError",
    "SurveyFailed",
    "Unsupported",
    "UnwritableResults",
    "UsageError",
    "one_line",
]

LONGEST_REASON = 2000


class SuiteError(Exception):
    """The root: every message says what, the value got, and what to do."""


class UsageError(SuiteError, ValueError):
    """A name, option or profile that does not exist or does not fit.

    Also a ValueError, so that `suite.decode` can put the place in a file before the message of a value's own check.
    """


class ResultsError(SuiteError):
    """Stored results cannot be used."""


class NoResults(ResultsError):
    """Nothing is stored where it was looked for."""


class DamagedResults(ResultsError):
    """A stored file is unreadable, incomplete, or not what was sealed."""


class NewerSchema(ResultsError):
    """The file was written by a newer ampmark."""


class UnwritableResults(ResultsError):
    """A folder cannot be written to."""


class NoBaseline(SuiteError):
    """No approved baseline has this name on this machine's fingerprint."""


class AnchorFailed(SuiteError):
    """The approved baseline's code could not be run again."""


class Incomparable(SuiteError):
    """Two runs differ in something that must be equal; the message lists the differences."""


class Unsupported(SuiteError):
    """This machine cannot do what a trial asks for; the worker turns it into the outcome `unsupported`."""


class PrecisionUnsupported(Unsupported):
    """This device cannot compute in this precision."""


class CompilationUnsupported(Unsupported):
    """torch.compile cannot compile this model on this machine."""


class DeterminismUnsupported(Unsupported):
    """An operator has no deterministic form on this device."""


class JobFailed(SuiteError):
    """A process that was asked for something other than a trial ended without a result."""


class SurveyFailed(JobFailed):
    """The process that describes the machine failed, so no trial can be planned."""


def one_line(message: object) -> str:
    """An error's text for a record: one line of printable characters, and not a book."""
    printable = "".join(letter if letter.isprintable() else " " for letter in str(message))
    return " ".join(printable.split())[:LONGEST_REASON]
