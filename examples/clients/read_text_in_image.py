"""Read the text in an image: python examples/clients/read_text_in_image.py [IMAGE]"""

import argparse
from pathlib import Path

import ocr_support
import tritonclient.grpc as triton
from PIL import Image

INPUTS = Path(__file__).resolve().parents[1] / "inputs"
parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("image", nargs="?", default=INPUTS / "page.png")
parser.add_argument("--url", default="localhost:8001", help="gRPC address of the server")
options = parser.parse_args()
client = triton.InferenceServerClient(options.url)


def infer(model: str, pixels: ocr_support.Floats) -> ocr_support.Floats:
    data = triton.InferInput("x", pixels.shape, "FP32").set_data_from_numpy(pixels)
    answer: ocr_support.Floats = client.infer(model, [data]).as_numpy("fetch_name_0")
    return answer


characters = (INPUTS / "ocr_characters.txt").read_text("utf-8").split("\n")
image = ocr_support.scale_for_detection(Image.open(options.image))
for box in ocr_support.text_boxes(infer("ocr_detection", ocr_support.to_network_input(image))[0, 0]):
    line = ocr_support.to_network_input(ocr_support.crop_line(image, box))
    text, confidence = ocr_support.decode_line(infer("ocr_recognition", line)[0], characters)
    if confidence > 0.6:
        print(f"{confidence:.3f}  {text}")
