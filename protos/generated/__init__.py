"""Message modules made by `make protos`; do not edit."""
