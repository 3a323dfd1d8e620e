"""Name what images show: python examples/clients/classify_image.py [IMAGE ...]"""

import argparse
from pathlib import Path

import numpy as np
import tritonclient.http as triton
from PIL import Image, ImageOps

INPUTS = Path(__file__).resolve().parents[1] / "inputs"
parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("images", nargs="*", type=Path, default=[INPUTS / "cat.png", INPUTS / "coffee.png"])
parser.add_argument("--url", default="localhost:8000", help="HTTP address of the server")
parser.add_argument("--model", default="efficientnet_lite0_onnx")
options = parser.parse_args()

squares = [np.asarray(ImageOps.fit(Image.open(path).convert("RGB"), (224, 224))) for path in options.images]
pixels = ((np.stack(squares).astype(np.float32) - 127) / 128).transpose(0, 3, 1, 2)
client = triton.InferenceServerClient(options.url)
metadata = client.get_model_metadata(options.model)
image = triton.InferInput(metadata["inputs"][0]["name"], pixels.shape, "FP32").set_data_from_numpy(pixels)
output = metadata["outputs"][0]["name"]
best_three = triton.InferRequestedOutput(output, class_count=3)
answer = client.infer(options.model, [image], outputs=[best_three]).as_numpy(output)
for path, classes in zip(options.images, answer, strict=True):
    print(f"{path.name}:")
    for probability, _, label in (entry.decode().split(":", 2) for entry in classes):
        print(f"  {float(probability):.3f}  {label}")
