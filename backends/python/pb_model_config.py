"""`pb_utils.ModelConfig`: what `auto_complete_config` gets, adds to, and gives back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ConfigDict = dict[str, Any]  # a model configuration in its JSON form
_INPUT_KEYS = ("name", "data_type", "dims", "optional")
_OUTPUT_KEYS = ("name", "data_type", "dims")
_REQUIRED_KEYS = ("name", "data_type", "dims")


class ModelConfig:
    """A model configuration that a model completes. Every contradiction raises ValueError."""

    def __init__(self, model_config: ConfigDict) -> None:
        self._model_config = model_config

    def as_dict(self) -> ConfigDict:
        """The configuration itself, in its JSON form: changes to it count."""
        return self._model_config

    def set_max_batch_size(self, max_batch_size: int) -> None:
        """Set the largest batch the model takes; an error if the configuration asks for more."""
        configured = self._model_config.get("max_batch_size", 0)
        if configured > max_batch_size:
            raise ValueError(
                f"configuration specified max_batch_size {configured}, but in auto-complete-config function for "
                f"model '{self._name}' specified max_batch_size {max_batch_size}"
            )
        self._model_config["max_batch_size"] = max_batch_size

    def set_dynamic_batching(self) -> None:
        """Use the dynamic batcher; an error if another scheduler is configured."""
        for other in ("sequence_batching", "ensemble_scheduling"):
            if other in self._model_config:
                raise ValueError(
                    f"Configuration specified {other}, but in auto-complete-config function for model "
                    f"'{self._name}' tries to set scheduling_choice to dynamic_batching"
                )
        self._model_config.setdefault("dynamic_batching", {})

    def set_model_transaction_policy(self, transaction_policy_dict: Mapping[str, bool]) -> None:
        """Say whether the model is decoupled: `{"decoupled": bool}`; an error if the configuration differs."""
        for key in transaction_policy_dict:
            if key != "decoupled":
                raise ValueError(
                    "model transaction property in auto-complete-config function for model "
                    f"'{self._name}' contains property other than 'decoupled'."
                )
        if "decoupled" not in transaction_policy_dict:
            raise ValueError(
                "model transaction property in auto-complete-config function for model "
                f"'{self._name}' is missing 'decoupled' property."
            )
        decoupled = transaction_policy_dict["decoupled"]
        configured = self._model_config.get("model_transaction_policy", {}).get("decoupled", decoupled)
        if configured != decoupled:
            raise ValueError(
                f"trying to change decoupled property in auto-complete-config for model '{self._name}', which is "
                "already set to '{}'.".format(configured)
            )
        self._model_config["model_transaction_policy"] = {"decoupled": decoupled}

    def add_input(self, input: Mapping[str, Any]) -> None:
        """Add an input or complete the configured one: `{"name", "data_type", "dims"[, "optional"]}`."""
        self._add("input", input, _INPUT_KEYS)

    def add_output(self, output: Mapping[str, Any]) -> None:
        """Add an output or complete the configured one: `{"name", "data_type", "dims"}`."""
        self._add("output", output, _OUTPUT_KEYS)

    @property
    def _name(self) -> str:
        return str(self._model_config.get("name", ""))

    def _add(self, kind: str, tensor: Mapping[str, Any], allowed: tuple[str, ...]) -> None:
        self._check_keys(kind, tensor, allowed)
        entries = self._model_config.setdefault(kind, [])
        existing = next((entry for entry in entries if entry["name"] == tensor["name"]), None)
        if existing is None:
            entries.append(dict(tensor))
        else:
            self._complete(existing, tensor)

    def _check_keys(self, kind: str, tensor: Mapping[str, Any], allowed: tuple[str, ...]) -> None:
        for key in tensor:
            if key not in allowed:
                raise ValueError(
                    f"{kind} '{tensor.get('name', '')}' in auto-complete-config function for model '{self._name}' "
                    f"contains property other than {', '.join(repr(name) for name in allowed)}: '{key}'."
                )
        for key in _REQUIRED_KEYS:
            if key not in tensor:
                raise ValueError(
                    f"{kind} in auto-complete-config function for model '{self._name}' is missing '{key}' property."
                )

    def _complete(self, existing: ConfigDict, tensor: Mapping[str, Any]) -> None:
        if existing.get("data_type", "TYPE_INVALID") == "TYPE_INVALID":
            existing["data_type"] = tensor["data_type"]
        elif existing["data_type"] != tensor["data_type"]:
            raise ValueError(
                f"unable to load model '{self._name}', configuration expects datatype {existing['data_type']} for "
                f"'{tensor['name']}', model provides {tensor['data_type']}"
            )
        if not existing.get("dims"):
            existing["dims"] = list(tensor["dims"])
        elif list(existing["dims"]) != list(tensor["dims"]):
            raise ValueError(
                f"model '{self._name}', tensor '{tensor['name']}': the model expects dims {list(tensor['dims'])} "
                f"but the model configuration specifies dims {list(existing['dims'])}"
            )
        if tensor.get("optional"):
            existing["optional"] = True
