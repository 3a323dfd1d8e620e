"""Tell the type of files from their bytes: python examples/clients/identify_file.py [FILE ...]"""

import argparse
import sys
from pathlib import Path

import numpy as np
import tritonclient.http as triton

EXAMPLES = Path(__file__).resolve().parents[1]
SAMPLES = [Path(__file__), EXAMPLES / "README.md", EXAMPLES / "inputs/cat.png", Path(sys.executable)]
parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("files", nargs="*", type=Path, default=SAMPLES)
parser.add_argument("--url", default="localhost:8000", help="HTTP address of the server")
options = parser.parse_args()


def features(content: bytes) -> list[int]:
    """The first and the last 1024 bytes without white space around them; 256 fills up what is missing."""
    first, last = content[:4096].lstrip()[:1024], content[-4096:].rstrip()[-1024:]
    return [*first, *[256] * (2048 - len(first) - len(last)), *last]


values = np.array([features(path.read_bytes()) for path in options.files], np.int32)
data = triton.InferInput("bytes", values.shape, "INT32").set_data_from_numpy(values)
best = triton.InferRequestedOutput("target_label", class_count=1)
answer = triton.InferenceServerClient(options.url).infer("magika", [data], outputs=[best])
for path, (entry,) in zip(options.files, answer.as_numpy("target_label"), strict=True):
    probability, _, file_type = entry.decode().split(":")
    print(f"{file_type:10} {float(probability):.3f}  {path.name}")
