"""The running server: models, engine and listeners, started and stopped in order."""

from __future__ import annotations

import asyncio
import logging
import time

from tritonpy.repository.manager import ModelManager
from tritonpy.server.engine import Engine
from tritonpy.server.grpc.grpcio_transport import GrpcServer
from tritonpy.server.grpc.service import InferenceService
from tritonpy.server.http.app import create_app
from tritonpy.server.http.listener import HttpListener, bind_socket
from tritonpy.server.load_table import load_table
from tritonpy.server.metrics import create_metrics_app, create_registry
from tritonpy.server.options import ServerOptions

logger = logging.getLogger(__name__)


class Server:
    """One server process.

    Start: ports are taken first (a port in use should not cost the time of loading), then models are loaded, then
    the listeners answer. Stop: listeners stop accepting and finish what they have, then models are unloaded.
    """

    def __init__(self, options: ServerOptions) -> None:
        self._options = options
        self._models = ModelManager(options.repository)
        self._engine = Engine(self._models, options.id)
        self._http: HttpListener | None = None
        self._metrics: HttpListener | None = None
        self._grpc: GrpcServer | None = None

    async def start(self) -> bool:
        """Start everything; False if a model did not load and the options say that this is fatal.

        Raises TritonpyError if a port is taken or a repository cannot be read.
        """
        self._bind()
        await self._models.load_all()
        print(load_table(self._models.index()), flush=True)
        if self._options.repository.exit_on_error and self._models.failed_models():
            logger.error("creating server: Internal - failed to load all models")
            return False
        for listener in (self._http, self._metrics):
            if listener is not None:
                await listener.start()
        if self._grpc is not None:
            await self._grpc.start()
        self._log_addresses()
        return True

    async def stop(self) -> bool:
        """Let requests in flight end and free everything; False if that took longer than the exit timeout."""
        deadline_s = time.monotonic() + self._options.exit_timeout_s
        self._engine.begin_exit()
        stopping = [listener.stop(self._options.exit_timeout_s) for listener in (self._http, self._grpc) if listener]
        await asyncio.gather(*stopping)
        try:
            await asyncio.wait_for(self._models.stop(), max(0.1, deadline_s - time.monotonic()))
        except asyncio.TimeoutError:
            logger.error("Exit timeout expired. Exiting immediately.")
            return False
        finally:
            # Last, so that the end can be watched.
            if self._metrics is not None:
                await self._metrics.stop(timeout_s=1)
        return True

    def _bind(self) -> None:
        options = self._options
        if options.http is not None:
            bound = bind_socket(options.http.address, options.http.port, options.http.reuse_port)
            self._http = HttpListener(create_app(self._engine, options.http), bound)
        if options.metrics.enabled:
            bound = bind_socket(options.metrics.address, options.metrics.port)
            registry = create_registry(self._engine, options.metrics.cpu_metrics)
            self._metrics = HttpListener(create_metrics_app(registry), bound)
        if options.grpc is not None:
            self._grpc = GrpcServer(InferenceService(self._engine), options.grpc)
            self._grpc.bind()

    def _log_addresses(self) -> None:
        options = self._options
        if options.grpc is not None:
            logger.info("Started GRPCInferenceService at %s:%d", options.grpc.address, options.grpc.port)
        if options.http is not None:
            logger.info("Started HTTPService at %s:%d", options.http.address, options.http.port)
        if options.metrics.enabled:
            logger.info("Started Metrics Service at %s:%d", options.metrics.address, options.metrics.port)
