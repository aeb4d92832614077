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
    ├── PrecisionUnsupported       this device cannot compute in this precision (becomes an outcome)
    ├── CompilationUnsupported     torch.compile cannot compile this model here (becomes an outcome)
    └── JobFailed                  a process that was asked for something other than a trial gave no answer
        └── SurveyFailed           the machine could not be described, so nothing can be run

What goes wrong inside a trial is never an error here: it is a record with an outcome and a reason.
"""

from __future__ import annotations

__all__ = [
    "CompilationUnsupported",
    "DamagedResults",
    "Incomparable",
    "JobFailed",
    "NewerSchema",
    "NoBaseline",
    "NoResults",
    "PrecisionUnsupported",
    "ResultsError",
    "SuiteError",
    "SurveyFailed",
    "UnwritableResults",
    "UsageError",
]


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


class Incomparable(SuiteError):
    """Two runs differ in something that must be equal; the message lists the differences."""


class PrecisionUnsupported(SuiteError):
    """This device cannot compute in this precision; the worker turns it into the outcome `unsupported`."""


class CompilationUnsupported(SuiteError):
    """torch.compile cannot compile this model on this machine; the worker turns it into the outcome `unsupported`."""


class JobFailed(SuiteError):
    """A process that was asked for something other than a trial ended without a result."""


class SurveyFailed(JobFailed):
    """The process that describes the machine failed, so no trial can be planned."""
