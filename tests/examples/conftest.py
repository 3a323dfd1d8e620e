"""The example scripts import each other as plain modules beside them, so the tests have to see those folders."""

import sys
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
sys.path[:0] = [str(EXAMPLES), str(EXAMPLES / "clients")]
