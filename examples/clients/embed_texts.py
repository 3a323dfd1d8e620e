"""Rank texts by closeness to the first one: python examples/clients/embed_texts.py [TEXT TEXT ...]"""

import argparse

import numpy as np
import tritonclient.grpc as triton

SAMPLES = [
    "The cat sat on the mat.",
    "Stock markets fell sharply on Monday.",
    "A kitten is lying on a rug.",
    "How do I bake sourdough bread?",
    "My dog is asleep on the sofa.",
]
parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("texts", nargs="*", default=SAMPLES)
parser.add_argument("--url", default="localhost:8001", help="gRPC address of the server")
options = parser.parse_args()

texts = np.array([[text.encode()] for text in options.texts], np.object_)
data = triton.InferInput("TEXT", texts.shape, "BYTES").set_data_from_numpy(texts)
client = triton.InferenceServerClient(options.url)
embeddings = client.infer("text_embedding", [data]).as_numpy("EMBEDDING")
similarities = embeddings[1:] @ embeddings[0]  # cosines, since all vectors have length 1
print(f"Closest to: {options.texts[0]}")
for similarity, text in sorted(zip(similarities, options.texts[1:], strict=True), reverse=True):
    print(f"  {similarity:.3f}  {text}")
