"""Queues and policies: which requests run together, when, and on which instance; and what is counted."""
