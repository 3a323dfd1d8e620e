"""Builds the example repository, serves it, runs every client script and judges the printed answers.

The first run downloads the data packages (about 190 MB); they stay in `examples/.packages`.
"""

from __future__ import annotations

import importlib.util
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

pytestmark = pytest.mark.examples

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
INPUTS = EXAMPLES / "inputs"
WITH_TORCH = importlib.util.find_spec("torch") is not None
START_TIMEOUT_S = 120
CLIENT_TIMEOUT_S = 120


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the server listens, as the clients take it with `--url`."""

    http: str
    grpc: str


def run_script(script: Path, *arguments: object) -> list[str]:
    """The printed lines of one of the example scripts."""
    command = [sys.executable, str(script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=CLIENT_TIMEOUT_S)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def run_client(name: str, url: str, *arguments: object) -> list[str]:
    return run_script(EXAMPLES / "clients" / f"{name}.py", "--url", url, *arguments)


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on; all are held until the last is found, so that they differ."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("localhost", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in sockets]


def is_ready(http: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{http}/v2/health/ready", timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, ConnectionError):
        return False


@contextmanager
def serving(repository: Path, log: Path) -> Iterator[Addresses]:
    http, grpc, metrics = free_ports(3)
    command = [str(Path(sys.executable).with_name("tritonpy-server")), f"--model-repository={repository}"]
    command += [f"--http-port={http}", f"--grpc-port={grpc}", f"--metrics-port={metrics}"]
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as server:
        try:
            deadline = time.monotonic() + START_TIMEOUT_S
            while not is_ready(f"localhost:{http}"):
                assert server.poll() is None, f"the server ended:\n{log.read_text()}"
                assert time.monotonic() < deadline, f"the server does not get ready:\n{log.read_text()}"
                time.sleep(0.1)
            yield Addresses(f"localhost:{http}", f"localhost:{grpc}")
        finally:
            server.terminate()
            server.wait(timeout=60)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Addresses]:
    """A server with the freshly built example repository."""
    folder = tmp_path_factory.mktemp("examples")
    arguments: list[object] = ["--output", folder / "models", *(["--with-torch"] if WITH_TORCH else [])]
    run_script(EXAMPLES / "build_repository.py", *arguments)
    again = run_script(EXAMPLES / "build_repository.py", *arguments)
    assert all(line.endswith("up to date") for line in again)
    with serving(folder / "models", folder / "server.log") as addresses:
        yield addresses


def classes(lines: list[str]) -> dict[str, list[tuple[str, float]]]:
    """Image name -> the classes printed for it, each with its probability."""
    found: dict[str, list[tuple[str, float]]] = {}
    for line in lines:
        if line.endswith(":"):
            image = found.setdefault(line[:-1], [])
        else:
            probability, label = line.split(maxsplit=1)
            image.append((label, float(probability)))
    return found


def test_classify_image(server: Addresses) -> None:
    found = classes(run_client("classify_image", server.http))
    label, probability = found["cat.png"][0]
    assert label == "Egyptian cat"
    assert probability > 0.3
    label, probability = found["coffee.png"][0]
    assert label == "espresso"
    assert probability > 0.9


@pytest.mark.skipif(not WITH_TORCH, reason="TorchScript models need PyTorch, which is not installed")
def test_torchscript_and_onnx_agree(server: Addresses) -> None:
    onnx = classes(run_client("classify_image", server.http))
    torchscript = classes(run_client("classify_image", server.http, "--model", "efficientnet_lite0_torchscript"))
    assert onnx.keys() == torchscript.keys()
    for image, expected in onnx.items():
        assert [label for label, _ in torchscript[image]] == [label for label, _ in expected]
        probabilities = [probability for _, probability in expected]
        assert [probability for _, probability in torchscript[image]] == pytest.approx(probabilities, abs=2e-3)


def test_read_a_photographed_page(server: Addresses) -> None:
    text = " ".join(line.split(maxsplit=1)[1] for line in run_client("read_text_in_image", server.grpc))
    assert "Region-based segmentation" in text
    assert "Let us first determine markers of the coins and the" in text
    assert "histogram of grey values" in text


def test_read_drawn_text(server: Addresses, tmp_path: Path) -> None:
    image = Image.new("RGB", (640, 200), "white")
    draw = ImageDraw.Draw(image)
    draw.text((40, 30), "Inference Server 2026", "black", ImageFont.load_default(48))
    draw.text((40, 120), "Total: $42.50 PAID", "darkred", ImageFont.load_default(40))
    image.save(tmp_path / "drawn.png")
    lines = run_client("read_text_in_image", server.grpc, tmp_path / "drawn.png")
    texts = [re.sub(r"\s+", "", line.split(maxsplit=1)[1]) for line in lines]
    assert texts == ["InferenceServer2026", "Total:$42.50PAID"]


def test_embed_texts(server: Addresses) -> None:
    closest_first = run_client("embed_texts", server.grpc)[1:]
    similarities = [float(line.split()[0]) for line in closest_first]
    assert "kitten" in closest_first[0]
    assert "Stock markets" in closest_first[-1]
    assert similarities[0] > 0.5
    assert abs(similarities[-1]) < 0.15


def test_detect_speech(server: Addresses) -> None:
    """By the transcript that comes with the recording somebody speaks from 6.69 s to its end at 30 s."""
    lines = run_client("detect_speech", server.grpc)
    probabilities = [float(line.split()[2]) for line in lines]
    assert len(probabilities) == 30
    assert max(probabilities[:6]) < 0.1
    assert min(probabilities[8:]) > 0.6


def test_identify_file(server: Addresses) -> None:
    lines = run_client("identify_file", server.http)
    assert [line.split()[0] for line in lines] == ["python", "markdown", "png", "elf"]
    assert all(float(line.split()[1]) > 0.5 for line in lines)
