"""The commands: the only place that prints and exits. Each has a module of its own kind; they are put together here.

Exit codes: 0 fine · 1 regressed · 2 usage, no data, incomparable · 3 inconclusive, when asked to fail on it ·
4 a trial failed, a replay is not its record, a self-check raised an alarm, or a demonstration did not show what it is
meant to · 130 interrupted (what finished is kept).
"""

from __future__ import annotations

import io
import os
import signal
import sys
import traceback

import typer

from suite.cli import checking, examining, following, judging, looking, running, scaling
from suite.errors import SuiteError

__all__ = ["app", "main"]

app = typer.Typer(
    name="ampmark",
    help="What each precision mode does to a training workload on this hardware, and whether it got worse.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command(epilog="Example: ampmark run --profile quick --workload gpt --precision fp32 --precision bf16")(running.run)
app.command(epilog="Example: ampmark report latest")(judging.report)
app.command(epilog="Example: ampmark compare 20260101T000000Z-abc123 latest")(judging.compare)
app.command(epilog="Example: ampmark gate --baseline main --fail-on regressed,inconclusive")(judging.gate)
app.command(epilog="Example: ampmark explain gpt/bf16 latest")(following.explain)
app.command(epilog="Example: ampmark history --fail-on regressed")(following.history)
app.command(epilog='Example: ampmark calibrate latest --reason "20 processes of equal code"')(following.calibrate)
app.command(epilog="Example: ampmark verify latest --workload gpt --precision fp32")(checking.verify)
app.command(epilog="Example: ampmark selfcheck --profile quick --workload gpt --repeats 5")(checking.selfcheck)
app.command("list", epilog="Example: ampmark list --json")(looking.list_)
app.command(epilog="Example: ampmark show latest")(looking.show)
app.command(epilog="Example: ampmark export latest --format pytest-benchmark -o run.json")(looking.export)
app.command(epilog="Example: ampmark doctor --json")(examining.doctor)
app.command(epilog="Example: ampmark scan-scale gpt --profile quick")(scaling.scan_scale)
app.add_typer(judging.baseline, name="baseline")
app.add_typer(scaling.demo, name="demo")


def main(arguments: list[str] | None = None) -> None:
    """Run the command line (None: of this process); an ampmark error is one line on stderr and exit status 2."""
    signal.signal(signal.SIGTERM, _terminate)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show × shows ? instead; a table is no reason to fail.
            stream.reconfigure(errors="replace")
            if stream is getattr(sys, f"__{name}__"):
                setattr(sys, name, _Unread(stream))
    try:
        app(arguments)
    except SuiteError as error:
        print(f"ampmark: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("ampmark: interrupted.", file=sys.stderr)
        sys.exit(130)
    # Whatever else happens must not end with Python's own status 1, which means "regressed" here.
    except Exception as error:  # noqa: BLE001
        traceback.print_exc()
        what = f"{type(error).__name__}: {error}"
        print(f"ampmark: an error in ampmark itself ({what}); please report it.", file=sys.stderr)
        sys.exit(2)


class _Unread(io.TextIOWrapper):
    """A stream whose reader may leave early, as in `ampmark gate | head`: what it does not read is dropped.

    Without this the broken pipe ends the command with status 1, which means "regressed" here.
    """

    def __init__(self, stream: io.TextIOWrapper) -> None:
        super().__init__(
            stream.buffer,
            stream.encoding,
            stream.errors,
            line_buffering=stream.line_buffering,
            write_through=stream.write_through,
        )

    def write(self, text: str, /) -> int:
        """Write, or drop what nobody reads."""
        try:
            return super().write(text)
        except BrokenPipeError:
            self._drop()
            return len(text)

    def flush(self) -> None:
        """Flush, or drop what nobody reads."""
        try:
            super().flush()
        except BrokenPipeError:
            self._drop()

    def _drop(self) -> None:
        """Let this and all that follows go nowhere; what is left in the buffer goes the same way."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)


def _terminate(number: int, frame: object) -> None:
    """End like an error does, so that the running trial is killed with its run (CI cancels with this signal)."""
    raise SystemExit(128 + number)
