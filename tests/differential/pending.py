"""What tritonpy has yet to build: exchanges whose test is a strict expected failure until then."""

from __future__ import annotations

PENDING: dict[str, str] = {}
"""By group, or by test id such as ``datatypes-grpc-raw-bf16``: what is missing. An entry that passes must go."""
