"""The wire contract: protobuf messages, datatypes and tensor codecs. Imports nothing else of the project."""
