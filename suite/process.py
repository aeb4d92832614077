"""One worker process: its messages, its output, its time limit, its end. Standard library only.

The processes are forks of a server that has torch and the model libraries in memory (multiprocessing's forkserver):
the first start costs seconds, each next one a fraction of one. Each has two pipes to this process, one for messages
and one for what it prints; both are drained while it runs, so that neither can fill up and stop it. This process
sleeps in between.
"""

from __future__ import annotations

import ctypes
import json
import multiprocessing
import os
import signal
import sys
import time
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from typing import Any

from suite.errors import SurveyFailed

__all__ = ["Job"]

KEPT_LOG_BYTES = 256 * 1024
"""What is kept of a trial's output: this much of the beginning and as much of the end."""
LEFTOVER_READS = 16
"""Reads of 64 KiB: the largest capacity of a pipe that an unprivileged process may ask for (pipe(7))."""
EXIT_SECONDS = 5.0
"""How long a process may take to exit after its last message."""


class Job:
    """One worker process. Iterate over it for its messages; then read how it ended."""

    def __init__(self, job: Mapping[str, Any], timeout_seconds: float) -> None:
        context = _fork_server()
        messages, messages_end = context.Pipe(duplex=False)
        output, output_end = context.Pipe(duplex=False)
        self._messages, self._output = messages, output
        self._log = _BoundedLog(KEPT_LOG_BYTES)
        self._asked_at = time.monotonic()
        self._deadline = self._asked_at + timeout_seconds
        self.start_seconds: float | None = None
        self.total_seconds = 0.0
        self.timed_out = False
        # Not a daemon in multiprocessing's sense, for those may have no children, and data loaders do.
        self._process = context.Process(target=_worker, args=(json.dumps(job), messages_end, output_end))
        with _callers_script_hidden():
            _start(self._process)
        messages_end.close()
        output_end.close()

    @property
    def exit_code(self) -> int | None:
        """Exit status; minus the signal's number when a signal ended it."""
        code: int | None = self._process.exitcode
        return code

    def __iter__(self) -> Iterator[dict[str, Any]]:
        try:
            yield from self._receive()
            if not self.timed_out:
                self._process.join(timeout=EXIT_SECONDS)  # it has said all it had to say: let it exit by itself
        finally:
            self._end()

    def log(self) -> str:
        """What the process printed, the middle cut out if it was long."""
        return self._log.text()

    def ending(self) -> str:
        """How the process ended, in words."""
        if self.timed_out:
            return "timed out"
        code = self.exit_code
        if code is not None and code < 0:
            name = next((known.name for known in signal.Signals if known == -code), "unnamed")
            return f"killed by signal {-code} ({name})"
        return f"exit status {code}"

    def _receive(self) -> Iterator[dict[str, Any]]:
        sentinel = self._process.sentinel
        open_pipes: list[Connection[Any, Any]] = [self._messages, self._output]
        while open_pipes:
            ready = wait([*open_pipes, sentinel], timeout=max(0.0, self._deadline - time.monotonic()))
            # A process that never stops printing always has something ready: the clock decides, not the silence.
            self.timed_out = sentinel not in ready and time.monotonic() >= self._deadline
            if self._output in ready and not self._drain_output():
                open_pipes.remove(self._output)
            if self._messages in ready:
                message = self._next_message()
                if message is None:
                    open_pipes.remove(self._messages)
                else:
                    yield message
            elif sentinel in ready or self.timed_out:
                # The end of the pipes is not waited for: a child of the process may still hold them open.
                self._drain_leftover()
                return

    def _drain_leftover(self) -> None:
        """What was printed last; bounded, because a child of the process may still be printing."""
        for _ in range(LEFTOVER_READS):
            if not (self._output.poll() and self._drain_output()):
                return

    def _drain_output(self) -> bool:
        data = os.read(self._output.fileno(), 1 << 16)
        self._log.add(data)
        return bool(data)

    def _next_message(self) -> dict[str, Any] | None:
        try:
            frame = self._messages.recv_bytes()
        except (EOFError, OSError):
            return None  # the writer is gone, perhaps in the middle of a frame
        if self.start_seconds is None:
            self.start_seconds = time.monotonic() - self._asked_at
        message: dict[str, Any] = json.loads(frame)
        return message

    def _end(self) -> None:
        """Kill whatever is left of the process and its children, and collect it."""
        if self._process.pid is not None:
            try:
                # The worker leads its own process group (see `_worker`), which holds its children as well.
                os.killpg(self._process.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                self._process.kill()
        self._process.join()
        self.total_seconds = time.monotonic() - self._asked_at
        self._messages.close()
        self._output.close()


class _BoundedLog:
    """The first and the last bytes of a stream that may be of any length."""

    def __init__(self, kept_bytes: int) -> None:
        self._kept = kept_bytes
        self._head = bytearray()
        self._tail = bytearray()
        self._total = 0

    def add(self, data: bytes) -> None:
        self._total += len(data)
        room = self._kept - len(self._head)
        self._head += data[:room]
        self._tail += data[room:]
        if len(self._tail) > 2 * self._kept:
            del self._tail[: -self._kept]

    def text(self) -> str:
        tail = self._tail[-self._kept :]
        cut = self._total - len(self._head) - len(tail)
        middle = f"\n[… {cut} bytes cut …]\n".encode() if cut else b""
        return bytes(self._head + middle + tail).decode("utf-8", errors="replace")


def _worker(job: str, messages: Connection[Any, Any], output: Connection[Any, Any]) -> None:
    """First code of the worker process: own group, own output, then the measuring half."""
    os.setsid()
    _die_with_the_server()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    for stream in (1, 2):
        os.dup2(output.fileno(), stream)
    # What libraries print should be in the log even if the process is killed a moment later.
    sys.stdout = open(1, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)
    sys.stderr = open(2, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)
    from suite.measure.worker import run_job

    run_job(json.loads(job), lambda message: messages.send_bytes(json.dumps(message).encode()))
    messages.close()
    sys.stdout.flush()
    sys.stderr.flush()
    # A workload's stray threads or exit handlers must not keep a finished trial alive.
    os._exit(0)


def _die_with_the_server() -> None:
    """Have the kernel end this trial if the fork server goes, which goes when the run's process is killed (Linux)."""
    if sys.platform == "linux":
        set_parent_death_signal = 1  # PR_SET_PDEATHSIG, prctl(2)
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)


def _start(process: Any) -> None:
    try:
        process.start()
    except (EOFError, OSError) as error:
        raise SurveyFailed(
            f"the process that loads torch for all trials has died ({type(error).__name__}); its last words are above. "
            "Check that `python -c 'import torch, torchvision, transformers'` works here."
        ) from error


def _fork_server() -> Any:
    """Multiprocessing's fork server with the measuring half preloaded (Linux and macOS)."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["suite.measure.preload"])
    return context


@contextmanager
def _callers_script_hidden() -> Iterator[None]:
    """Multiprocessing would run the caller's script again in every child; a trial needs nothing of it."""
    script = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script
