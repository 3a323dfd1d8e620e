"""NVIDIA's load generator runs against the server without an error."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from .repository import ADD_SUB_CONFIG, write_python_model
from .server import Server, running_server

PATH_VARIABLE = "TRITONPY_PERF_ANALYZER"
PERF_ANALYZER = os.environ.get(PATH_VARIABLE) or shutil.which("perf_analyzer")

pytestmark = pytest.mark.skipif(
    PERF_ANALYZER is None, reason=f"perf_analyzer is not on the PATH, and {PATH_VARIABLE} does not name it"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("perf_analyzer")
    write_python_model(folder / "models", "add_sub", "add_sub", ADD_SUB_CONFIG)
    write_python_model(
        folder / "models", "batched", "add_sub", f"max_batch_size: 16 dynamic_batching {{ }}\n{ADD_SUB_CONFIG}"
    )
    with running_server(folder / "models", folder) as server:
        yield server


@pytest.mark.parametrize(("model", "concurrency"), [("add_sub", 1), ("add_sub", 16), ("add_sub", 64), ("batched", 64)])
@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_load(server: Server, model: str, protocol: str, concurrency: int) -> None:
    before = server.statistics(model)["inference_stats"]
    url = server.http_url if protocol == "http" else server.grpc_url
    # How stable the figures are is not the question here: three short windows, the fewest, whatever their spread.
    brief = ["--measurement-interval", "200", "--max-trials", "3", "--stability-percentage", "999"]
    command = [str(PERF_ANALYZER), "-m", model, "-i", protocol, "-u", url, "--concurrency-range", str(concurrency)]
    result = subprocess.run([*command, *brief], capture_output=True, text=True, timeout=120)
    output = result.stdout + result.stderr
    assert result.returncode == 0, output
    throughput = re.search(r"Throughput: ([\d.]+) infer/sec", output)
    assert throughput is not None, output
    assert float(throughput.group(1)) > 0
    assert "error" not in output.lower(), output
    after = server.statistics(model)["inference_stats"]
    assert after["success"]["count"] > before["success"]["count"]
    assert after["fail"]["count"] == 0
