"""Records the answers of NVIDIA's tritonserver: ``python -m tests.differential.record --server COMMAND``."""

from __future__ import annotations

import argparse
import shlex
import tempfile
from pathlib import Path

from .exchange import Exchange
from .exchanges import GROUPS
from .normalise import normalised
from .recordings import Recording, described, save
from .server_process import RunningServer, running_server


def main() -> None:
    parser = argparse.ArgumentParser(description="Record the answers of a real tritonserver.")
    parser.add_argument("--server", required=True, help="command that starts tritonserver and passes options on")
    command = shlex.split(parser.parse_args().server)
    with tempfile.TemporaryDirectory() as folder, running_server(command, Path(folder)) as server:
        for group, exchanges in GROUPS.items():
            save(group, {exchange.name: record(server, exchange) for exchange in exchanges})
            print(f"{group}: {len(exchanges)} exchanges")


def record(server: RunningServer, exchange: Exchange) -> Recording:
    """Raise RuntimeError, naming the exchange, if it was the last thing the server did."""
    try:
        answer = server.connections.answer(exchange)
        server.check_alive()
    except (OSError, RuntimeError) as error:
        raise RuntimeError(f"{exchange.name} could not be recorded: {error}") from error
    return Recording(described(exchange), normalised(answer, server.repository, exchange.ignoring))


if __name__ == "__main__":
    main()
