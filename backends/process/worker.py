"""The program of a worker process: loads one model, makes one instance, and runs the batches it is sent.

Needs only the standard library, NumPy and the model's own framework. Batches run on the main thread, as model
code expects; the socket is read between batches, and by `poll_cancellation` while one runs.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import socket
import sys
import threading
from collections import deque

from tritonpy.backends.contract import BatchResult, Instance, ModelSpec
from tritonpy.backends.process import wire
from tritonpy.backends.process.channel import Channel, Message, Packet
from tritonpy.backends.process.progress import Progress
from tritonpy.backends.process.shared_memory import BlockPool, PeerBlocks
from tritonpy.backends.registry import load_backend
from tritonpy.backends.request import InferenceRequest, InferenceResponse
from tritonpy.backends.run_batch import run_batch
from tritonpy.backends.thread_executor import load_error

_PR_SET_PDEATHSIG = 1


class Worker:
    """The worker's state: its instance, and the requests that may still be answered or cancelled."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._send_lock = threading.Lock()
        self._pool_lock = threading.Lock()
        self._receive_lock = threading.Lock()
        self._postponed: deque[Packet] = deque()
        self._pool = BlockPool()
        self._peer_blocks = PeerBlocks()
        self._live: dict[int, dict[int, InferenceRequest]] = {}
        self._progress: Progress | None = None
        self._spec: ModelSpec | None = None
        self._instance: Instance | None = None
        self._instance_name = ""

    def serve(self) -> None:
        """Handle packets until told to stop or the server is gone."""
        handlers = {"execute": self._execute, "load": self._load, "complete": self._complete}
        while (packet := self._next_packet()) is not None:
            if packet.message["op"] == "stop":
                break
            handlers[packet.message["op"]](packet)
            del packet  # its tensors' block is free as soon as nobody looks at it
        if self._instance is not None:
            self._instance.close()

    # Receiving.

    def _next_packet(self) -> Packet | None:
        """The next packet that is work for the main thread, waiting for it; None at the end."""
        while True:
            if self._postponed:
                return self._postponed.popleft()
            with self._receive_lock:
                packet = self._channel.receive()
            if packet is None:
                return None
            if not self._handle_at_once(packet):
                return packet

    def poll_cancellation(self) -> None:
        """Read what has arrived, without waiting; work is put aside for later. Callable from any thread."""
        # Whoever holds the lock is reading, so cancellations are being handled.
        if not self._receive_lock.acquire(blocking=False):
            return
        try:
            while (packet := self._channel.receive(socket.MSG_DONTWAIT)) is not None:
                if not self._handle_at_once(packet):
                    self._postponed.append(packet)
        except BlockingIOError:
            return
        finally:
            self._receive_lock.release()

    def _handle_at_once(self, packet: Packet) -> bool:
        message = packet.message
        if released := message.get("free"):
            with self._pool_lock:
                for block_id in released:
                    self._pool.release(block_id)
        if message["op"] == "cancel":
            request = self._live.get(message["batch"], {}).get(message["index"])
            if request is not None:
                request.cancelled = True
            return True
        return False

    # Loading.

    def _load(self, packet: Packet) -> None:
        self._progress = Progress.open(packet.descriptors[0])
        try:
            self._spec = wire.read_spec(packet.message["spec"])
            instance = wire.read_instance(packet.message["instance"])
            self._instance_name = instance.name
            self._instance = load_backend(self._spec.backend).load(self._spec).create_instance(instance)
        except BaseException as error:  # a model may raise anything; the server decides what follows
            self._send_failure(error)
        else:
            self._send({"op": "loaded"})

    def _complete(self, packet: Packet) -> None:
        try:
            spec = wire.read_spec(packet.message["spec"])
            completion = load_backend(spec.backend).complete(spec)
        except BaseException as error:  # as above
            self._send_failure(error)
        else:
            self._send({"op": "completed", "completion": wire.completion_entry(completion)})

    def _send_failure(self, error: BaseException) -> None:
        self._send({"op": "failed", "error": wire.error_entry(load_error(error))})

    # Running.

    def _execute(self, packet: Packet) -> None:
        batch_id = packet.message["batch"]
        result = self._run(batch_id, packet)
        for index, response in enumerate(result.responses):
            if response is not None:
                self._forget(batch_id, index)
        writer = wire.TensorWriter()
        message = {
            "op": "done",
            "batch": batch_id,
            "responses": [wire.response_entry(response, writer) for response in result.responses],
            "times": (result.inputs_ready_ns, result.outputs_begin_ns),
        }
        with self._pool_lock:
            placed = writer.place(self._pool)
        # Outputs that share their input's memory are copied by now: let the input go before telling what is free.
        del result
        self._send(message, placed)

    def _run(self, batch_id: int, packet: Packet) -> BatchResult:
        assert self._instance is not None
        assert self._progress is not None
        requests = self._read_requests(packet)
        self._progress.begin(batch_id)
        self._live[batch_id] = dict(enumerate(requests))

        def send(index: int, response: InferenceResponse) -> None:
            self._send_response(batch_id, index, response)

        return run_batch(self._instance_name, self._instance, requests, send, self.poll_cancellation)

    def _read_requests(self, packet: Packet) -> list[InferenceRequest]:
        assert self._spec is not None
        data = wire.tensor_data(packet, self._peer_blocks)
        if data.readonly:
            data = memoryview(bytearray(data))  # models may write to their inputs
        return [wire.read_request(entry, data, self._spec) for entry in packet.message["requests"]]

    def _send_response(self, batch_id: int, index: int, response: InferenceResponse) -> None:
        if response.final:
            self._forget(batch_id, index)
        writer = wire.TensorWriter()
        entry = wire.response_entry(response, writer)
        message = {"op": "response", "batch": batch_id, "index": index, "response": entry}
        with self._pool_lock:
            placed = writer.place(self._pool)
        self._send(message, placed)

    def _forget(self, batch_id: int, index: int) -> None:
        batch = self._live.get(batch_id)
        if batch is not None:
            batch.pop(index, None)
            if not batch:
                del self._live[batch_id]

    def _send(self, message: Message, placed: wire.PlacedData = wire.NO_DATA) -> None:
        with self._send_lock:
            if released := self._peer_blocks.take_released():
                message["free"] = released
            self._channel.send(placed.packet(message))


def _die_with_server() -> None:
    """Ask the kernel to kill this process when the server dies, however it dies."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def main(descriptor: int) -> None:
    """Entry of the process; `descriptor` is the worker's end of the socket."""
    _die_with_server()
    # A terminal's Ctrl-C and a service manager's stop go to the whole group; the server decides when workers end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname).1s %(name)s: %(message)s")
    connection = socket.socket(fileno=descriptor)
    try:
        Worker(Channel(connection)).serve()
    except BrokenPipeError:
        # The server is gone: nobody to answer to, nothing to save.
        os._exit(1)
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: threads that a model left running must not keep the process alive.
    os._exit(0)
