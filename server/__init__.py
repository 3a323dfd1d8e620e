"""The network side: engine facade, HTTP, gRPC, metrics, the command line."""
