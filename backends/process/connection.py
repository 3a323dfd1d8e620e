"""A worker process and the server's end of its socket."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tritonpy.backends.process.channel import Channel, OutgoingPacket, Packet

EXIT_GRACE_S = 10.0

# One thread starts all workers and lives as long as the server: a worker asks the kernel to be killed when the
# *thread* that started it ends (see worker.py), and the loop must not wait for the fork.
_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="worker-spawner")

# Not `-m`: that would put the server's working directory on the worker's import path.
_WORKER_COMMAND = "import sys; sys.path = [p for p in sys.path if p]; from tritonpy.backends.process import worker; "


class WorkerConnection:
    """One worker process. Packets go to `on_packet`; `on_lost(reason)` comes once, when the worker is gone without
    having been told to stop. Everything but the process start happens on the loop."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        on_packet: Callable[[Packet], None],
        on_lost: Callable[[str], None],
    ) -> None:
        self._loop = loop
        self._on_packet = on_packet
        self._on_lost = on_lost
        self._outgoing: deque[OutgoingPacket] = deque()
        self._channel: Channel | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process_id(self) -> int:
        """The worker's process id; 0 before `spawn`."""
        return self._process.pid if self._process else 0

    async def spawn(self) -> None:
        """Start the process and listen to it."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        try:
            self._process = await self._loop.run_in_executor(_spawner, _start_process, theirs.fileno())
        finally:
            theirs.close()
        self._channel = Channel(ours)
        self._loop.add_reader(self._channel.fileno(), self._read_all)

    def send(self, packet: OutgoingPacket) -> None:
        """Send now, or when the worker reads on. A lost worker is reported by `on_lost`, not here."""
        if self._channel is None:
            return
        if not self._outgoing and self._try_send(packet):
            return
        self._outgoing.append(packet)
        self._loop.add_writer(self._channel.fileno(), self._write_waiting)

    async def end(self) -> str:
        """Close the socket, wait for the process (kill it after EXIT_GRACE_S), and say how it ended."""
        self._disconnect()
        if self._process is None:
            return "never started"
        return await self._loop.run_in_executor(None, _wait_or_kill, self._process)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    def _try_send(self, packet: OutgoingPacket) -> bool:
        assert self._channel is not None
        try:
            self._channel.send(packet)
        except BlockingIOError:
            return False
        except OSError:
            # The peer is gone; the reader sees the end of the socket and reports it.
            return True
        return True

    def _write_waiting(self) -> None:
        assert self._channel is not None
        while self._outgoing and self._try_send(self._outgoing[0]):
            self._outgoing.popleft()
        if not self._outgoing:
            self._loop.remove_writer(self._channel.fileno())

    def _read_all(self) -> None:
        while self._channel is not None:
            try:
                packet = self._channel.receive()
            except BlockingIOError:
                return
            if packet is None:
                self._report_loss()
                return
            self._on_packet(packet)

    def _report_loss(self) -> None:
        self._disconnect()
        process = self._process
        assert process is not None
        waiting = self._loop.run_in_executor(None, _wait_or_kill, process)
        waiting.add_done_callback(lambda done: self._on_lost(done.result()))

    def _disconnect(self) -> None:
        if self._channel is None:
            return
        self._loop.remove_reader(self._channel.fileno())
        self._loop.remove_writer(self._channel.fileno())
        self._channel.close()
        self._channel = None
        self._outgoing.clear()


def _start_process(descriptor: int) -> subprocess.Popen[bytes]:
    command = f"{_WORKER_COMMAND}worker.main({descriptor})"
    environment = dict(os.environ)
    # Byte-code files in a repository would look like a change of the model.
    environment.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    return subprocess.Popen(
        [sys.executable, "-c", command],
        stdin=subprocess.DEVNULL,
        pass_fds=(descriptor,),
        env=environment,
    )


def _wait_or_kill(process: subprocess.Popen[bytes]) -> str:
    try:
        status = process.wait(EXIT_GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        status = process.wait()
    return describe_exit(status)


def describe_exit(status: int) -> str:
    """How a process ended, for people: `was killed by SIGKILL`, `exited with status 3`."""
    if status >= 0:
        return f"exited with status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"
