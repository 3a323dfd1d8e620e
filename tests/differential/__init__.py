"""Compares tritonpy's answers with recorded answers of NVIDIA's tritonserver on the same Python models."""
