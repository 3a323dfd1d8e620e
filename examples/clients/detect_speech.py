"""Find the speech in a recording (WAV, 16 kHz, mono): python examples/clients/detect_speech.py [FILE]"""

import argparse
import wave
from pathlib import Path

import numpy as np
import tritonclient.grpc as triton

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("sound", nargs="?", default=Path(__file__).resolve().parents[1] / "inputs/speech.wav")
parser.add_argument("--url", default="localhost:8001", help="gRPC address of the server")
options = parser.parse_args()
with wave.open(str(options.sound)) as file:
    if (file.getframerate(), file.getnchannels(), file.getsampwidth()) != (16000, 1, 2):
        parser.error(f"{options.sound} has to be a WAV file with 16 kHz, one channel and 16 bits")
    samples = np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float32) / 32768
pieces = np.lib.stride_tricks.sliding_window_view(np.pad(samples, (64, 0)), 64 + 512)[::512]
client = triton.InferenceServerClient(options.url)
state, rate, speech = np.zeros((2, 1, 128), np.float32), np.array([16000]), []
for piece in pieces:  # 32 ms each, with the 64 samples before it; the state goes from answer to next request
    data = triton.InferInput("input", (1, 576), "FP32").set_data_from_numpy(piece[None])
    memory = triton.InferInput("state", state.shape, "FP32").set_data_from_numpy(state)
    sampling_rate = triton.InferInput("sr", (1,), "INT64").set_data_from_numpy(rate)
    answer = client.infer("silero_vad", [data, memory, sampling_rate])
    state = answer.as_numpy("stateN")
    speech.append(answer.as_numpy("output").item())
for second, start in enumerate(np.arange(0, len(speech), 31.25).astype(int)):  # 31.25 pieces a second
    probability = float(np.mean(speech[start : start + 31]))
    print(f"{second:3} s  {probability:.2f}  {'#' * round(40 * probability)}")
