"""Generates the message modules in `protos/generated/` from the .proto files (`make protos`).

protoc's output registers every message in protobuf's default pool. `tritonclient` registers messages of the
same names there, so both could not be imported in one process. This script moves our modules into a private
pool (`tritonpy.protos.pool`) and makes their imports absolute; nothing else of protoc's output changes.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from grpc_tools import protoc

HERE = Path(__file__).parent
GENERATED = HERE / "generated"
PROTO_FILES = ("model_config.proto", "grpc_service.proto", "health.proto")


def run_protoc() -> None:
    """Run protoc over all files; raises SystemExit with its status when it fails."""
    arguments = ["protoc", f"-I{HERE}", f"--python_out={GENERATED}", f"--pyi_out={GENERATED}", *PROTO_FILES]
    status = protoc.main(arguments)
    if status:
        raise SystemExit(status)


def use_private_pool(source: str) -> str:
    """protoc's module text, registering its messages in the project's own descriptor pool."""
    source = source.replace(
        "from google.protobuf import descriptor_pool as _descriptor_pool\n",
        "from tritonpy.protos import pool as _descriptor_pool\n",
    )
    return use_absolute_imports(source)


def use_absolute_imports(source: str) -> str:
    """protoc's module or stub text with its sibling imports made absolute."""
    return re.sub(r"^import (\w+_pb2) as (\w+)$", r"from tritonpy.protos.generated import \1 as \2", source, flags=re.M)


def main() -> int:
    run_protoc()
    for path in sorted(GENERATED.glob("*_pb2.py")):
        path.write_text(use_private_pool(path.read_text()))
    for path in sorted(GENERATED.glob("*_pb2.pyi")):
        path.write_text(use_absolute_imports(path.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
