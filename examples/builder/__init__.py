"""Turns weights that ship inside Python packages into a model repository; see `build_repository.py`."""
