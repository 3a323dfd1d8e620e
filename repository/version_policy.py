"""Which versions of a model are served."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from tritonpy.protos.generated import model_config_pb2

logger = logging.getLogger(__name__)


def choose_versions(config: model_config_pb2.ModelConfig, available: Sequence[int]) -> list[int]:
    """The versions to serve of those that exist, ascending; there may be none.

    `latest` takes the largest numbers, `specific` those listed that exist (the others are logged), `all` everything.
    """
    available = sorted(available)
    policy = config.version_policy
    choice = policy.WhichOneof("policy_choice")
    if choice == "all":
        return available
    if choice == "specific":
        for version in sorted(set(policy.specific.versions) - set(available)):
            logger.error("model '%s' has no version %d, which its version policy names", config.name, version)
        return [version for version in available if version in policy.specific.versions]
    count = policy.latest.num_versions if choice == "latest" else 1
    return available[-count:] if count else []
