"""Which configured tensor is which argument or result of a model, by Triton's conventions.

Tried in this order: every name is one that the model itself uses; every name is `<anything>__<position>`
(`INPUT__0`); the order of the configuration.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch.utils._pytree as pytree

from tritonpy.backends.errors import InvalidArgumentError

_POSITION = re.compile(r".*__(\d+)", re.DOTALL)

logger = logging.getLogger(__name__)


def positions(kind: str, names: Sequence[str], spellings: Sequence[Mapping[str, int]], model_name: str) -> list[int]:
    """The position of each configured name. `spellings` are sets of names that the model itself uses.

    Raises InvalidArgumentError if two names mean the same position.
    """
    found = _positions(kind, names, spellings, model_name)
    for position in found:
        if found.count(position) > 1:
            twice = ", ".join(f"'{name}'" for name, other in zip(names, found, strict=True) if other == position)
            raise InvalidArgumentError(f"the {kind}s {twice} of model '{model_name}' mean the same {kind} of the model")
    return found


def _positions(kind: str, names: Sequence[str], spellings: Sequence[Mapping[str, int]], model_name: str) -> list[int]:
    for spelling in spellings:
        if all(name in spelling for name in names):
            return [spelling[name] for name in names]
    matches = [_POSITION.fullmatch(name) for name in names]
    numbered = [int(match[1]) for match in matches if match is not None]
    if len(numbered) == len(names):
        return numbered
    if len(names) > 1:
        logger.warning(
            "the %ss of model '%s' have neither the model's own names nor names like %s__0: they are taken in the "
            "order of the configuration",
            kind,
            model_name,
            kind.upper(),
        )
    return list(range(len(names)))


def leaf_names(structure: pytree.TreeSpec, roots: Sequence[str]) -> dict[str, int]:
    """The names of the tensors in nested arguments or results, like `ARGS[0]`, `KWARGS[mask]`, `RESULT[logits][1]`.

    With one root it is the name of the whole; with several, the structure is a tuple that has one part for each.
    """
    numbered = pytree.tree_unflatten(range(structure.num_leaves), structure)
    paths, _ = pytree.tree_flatten_with_path(numbered)
    return {_leaf_name(path, roots): number for path, number in paths}


def _leaf_name(path: tuple[Any, ...], roots: Sequence[str]) -> str:  # keys are of several classes of torch
    root = roots[0]
    if len(roots) > 1:
        root, path = roots[path[0].idx], path[1:]
    return root + "".join(f"[{_key_text(key)}]" for key in path)


def _key_text(key: Any) -> str:  # as above
    if isinstance(key, pytree.SequenceKey):
        return str(key.idx)
    return str(key.key if isinstance(key, pytree.MappingKey) else key.name)
