"""The command line: tritonserver's option names, with effect, or not at all.

Every option that this server knows is one row of `OPTIONS`; `--help` and the parser are made from the table.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tritonpy.repository.options import ControlMode, RepositoryOptions
from tritonpy.server.grpc.options import GrpcOptions
from tritonpy.server.http.options import HttpOptions

_TRUE = ("true", "on", "1")
_FALSE = ("false", "off", "0")


class UsageError(Exception):
    """The command line is wrong; the message says which option, what came, and what is possible."""


def boolean(text: str) -> bool:
    """`true`, `on`, `1` or `false`, `off`, `0`, in any case."""
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise argparse.ArgumentTypeError(f"invalid value for bool option: {text}")


def integer(smallest: int, largest: int = 2**31 - 1) -> Callable[[str], int]:
    """A parser of integers from `smallest` to `largest`."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"Invalid option value. Got {text}") from None
        if not smallest <= value <= largest:
            raise argparse.ArgumentTypeError(
                f"Provided option value is out of bound. Got {text}, expected {smallest} to {largest}"
            )
        return value

    return parse


def verbosity(text: str) -> int:
    """A level, or a boolean for 1 or 0."""
    if text.lower() in _TRUE[:2] + _FALSE[:2]:
        return int(boolean(text))
    return integer(0)(text)


def control_mode(text: str) -> ControlMode:
    try:
        return ControlMode(text.lower())
    except ValueError:
        modes = ", ".join(mode.value for mode in ControlMode)
        raise argparse.ArgumentTypeError(f"unknown model control mode '{text}', expected one of: {modes}") from None


@dataclass(frozen=True, slots=True)
class BackendSetting:
    """One `--backend-config`: a setting of one backend, or of all ("")."""

    backend: str
    key: str
    value: str


def backend_setting(text: str) -> BackendSetting:
    """`<backend>,<key>=<value>` or `<key>=<value>`."""
    backend, _, setting = text.partition(",") if "," in text.partition("=")[0] else ("", "", text)
    key, equals, value = setting.partition("=")
    if not equals or not key:
        raise argparse.ArgumentTypeError(f"--backend-config needs <backend>,<key>=<value>, got '{text}'")
    return BackendSetting(backend, key, value)


@dataclass(frozen=True, slots=True)
class Option:
    """One option. `repeated` collects its values; `flag` takes none."""

    name: str
    group: str
    default: Any
    parse: Callable[[str], Any]
    help: str
    repeated: bool = False
    flag: bool = False
    alias: str = ""


_PORT = integer(0, 65535)
_COUNT = integer(0)
_POSITIVE = integer(1)

OPTIONS = (
    Option("id", "Server", "triton", str, "name of the server in its metadata"),
    Option("exit-timeout-secs", "Server", 30, _COUNT, "seconds that requests in flight have to end at shutdown"),
    Option("log-verbose", "Logging", 0, verbosity, "verbosity level; 0 is off"),
    Option("log-info", "Logging", True, boolean, "log what happens"),
    Option("log-warning", "Logging", True, boolean, "log warnings"),
    Option("log-error", "Logging", True, boolean, "log errors"),
    Option("log-file", "Logging", "", str, "log to this file instead of standard error"),
    Option(
        "model-repository",
        "Models",
        [],
        Path,
        "folder of models; may be given several times",
        repeated=True,
        alias="model-store",
    ),
    Option("exit-on-error", "Models", True, boolean, "exit if a model does not load at start-up"),
    Option(
        "disable-auto-complete-config",
        "Models",
        False,
        boolean,
        "do not complete configurations from model files",
        flag=True,
    ),
    Option(
        "strict-model-config",
        "Models",
        False,
        boolean,
        "older name: true is the same as --disable-auto-complete-config",
    ),
    Option("strict-readiness", "Models", True, boolean, "ready only if every model is"),
    Option("model-control-mode", "Models", ControlMode.NONE, control_mode, "none or explicit"),
    Option("load-model", "Models", [], str, "model to load at start-up in mode explicit; * for all", repeated=True),
    Option("model-load-thread-count", "Models", 4, _POSITIVE, "models loaded at the same time"),
    Option(
        "backend-config",
        "Models",
        [],
        backend_setting,
        "<backend>,<key>=<value>, or <key>=<value> for all backends",
        repeated=True,
    ),
    Option("allow-http", "HTTP", True, boolean, "serve HTTP"),
    Option("http-address", "HTTP", "0.0.0.0", str, "address to listen on"),
    Option("http-port", "HTTP", 8000, _PORT, "port to listen on"),
    Option("reuse-http-port", "HTTP", False, boolean, "let several servers listen on the port"),
    Option("http-max-input-size", "HTTP", 64 * 1024 * 1024, _POSITIVE, "largest request body in bytes"),
    Option("allow-grpc", "gRPC", True, boolean, "serve gRPC"),
    Option("grpc-address", "gRPC", "0.0.0.0", str, "address to listen on"),
    Option("grpc-port", "gRPC", 8001, _PORT, "port to listen on"),
    Option("reuse-grpc-port", "gRPC", False, boolean, "let several servers listen on the port"),
    Option("grpc-keepalive-time", "gRPC", 7200000, _COUNT, "ms without activity after which a ping is sent"),
    Option("grpc-keepalive-timeout", "gRPC", 20000, _COUNT, "ms to wait for the answer to a ping"),
    Option("grpc-keepalive-permit-without-calls", "gRPC", False, boolean, "ping also while no call is open"),
    Option("grpc-http2-max-pings-without-data", "gRPC", 2, _COUNT, "pings sent without data between them"),
    Option(
        "grpc-http2-min-recv-ping-interval-without-data", "gRPC", 300000, _COUNT, "least ms between a client's pings"
    ),
    Option("grpc-http2-max-ping-strikes", "gRPC", 2, _COUNT, "bad pings before the connection is closed"),
    Option("grpc-max-connection-age", "gRPC", 0, _COUNT, "ms a connection may live; 0 for ever"),
    Option("grpc-max-connection-age-grace", "gRPC", 0, _COUNT, "ms for calls in flight after that; 0 for ever"),
    Option("allow-metrics", "Metrics", True, boolean, "serve Prometheus metrics"),
    Option("allow-cpu-metrics", "Metrics", True, boolean, "CPU and memory metrics"),
    Option("metrics-address", "Metrics", "", str, "address to listen on; the HTTP address if not given"),
    Option("metrics-port", "Metrics", 8002, _PORT, "port to listen on"),
)


@dataclass(frozen=True, slots=True)
class LogOptions:
    """What is logged, and where to ("" is standard error)."""

    verbose_level: int
    info: bool
    warning: bool
    error: bool
    file: str


@dataclass(frozen=True, slots=True)
class MetricsOptions:
    """The metrics listener."""

    enabled: bool
    address: str
    port: int
    cpu_metrics: bool


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """The whole command line."""

    id: str
    exit_timeout_s: int
    log: LogOptions
    repository: RepositoryOptions
    http: HttpOptions | None
    grpc: GrpcOptions | None
    metrics: MetricsOptions


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise UsageError(message)


def parser() -> argparse.ArgumentParser:
    """The argument parser of OPTIONS."""
    result = _Parser(prog="tritonpy-server", description="A Triton-compatible inference server.")
    groups: dict[str, Any] = {}
    for option in OPTIONS:
        group = groups.get(option.group) or groups.setdefault(option.group, result.add_argument_group(option.group))
        names = [f"--{option.name}"] + ([f"--{option.alias}"] if option.alias else [])
        if option.flag:
            group.add_argument(*names, action="store_true", help=option.help)
        else:
            action = "append" if option.repeated else "store"
            default = None if option.repeated else option.default
            group.add_argument(
                *names, action=action, type=option.parse, default=default, help=_help(option), metavar="VALUE"
            )
    return result


def _help(option: Option) -> str:
    if option.repeated or option.default == "":
        return option.help
    shown = getattr(option.default, "value", option.default)
    return f"{option.help} (default: {str(shown).lower() if isinstance(shown, bool) else shown})"


def parse_options(arguments: Sequence[str]) -> ServerOptions:
    """The options of a command line; raises UsageError."""
    values = parser().parse_args(arguments)
    if not values.model_repository:
        raise UsageError("--model-repository must be specified")
    options = ServerOptions(
        id=values.id,
        exit_timeout_s=values.exit_timeout_secs,
        log=LogOptions(values.log_verbose, values.log_info, values.log_warning, values.log_error, values.log_file),
        repository=_repository_options(values),
        http=_http_options(values) if values.allow_http else None,
        grpc=_grpc_options(values) if values.allow_grpc else None,
        metrics=MetricsOptions(
            values.allow_metrics,
            values.metrics_address or values.http_address,
            values.metrics_port,
            values.allow_cpu_metrics,
        ),
    )
    _check_ports(options)
    return options


def _repository_options(values: argparse.Namespace) -> RepositoryOptions:
    load_models = tuple(values.load_model or ())
    if load_models and values.model_control_mode is not ControlMode.EXPLICIT:
        raise UsageError("Use of '--load-model' requires setting '--model-control-mode=explicit' as well.")
    if "*" in load_models and len(load_models) > 1:
        raise UsageError("Wildcard model name '*' must be the ONLY startup model if specified at all.")
    return RepositoryOptions(
        repositories=tuple(dict.fromkeys(values.model_repository)),
        control_mode=values.model_control_mode,
        load_models=load_models,
        auto_complete=not (values.disable_auto_complete_config or values.strict_model_config),
        strict_readiness=values.strict_readiness,
        exit_on_error=values.exit_on_error,
        model_load_thread_count=values.model_load_thread_count,
        backend_config=_backend_config(values.backend_config or ()),
    )


def _backend_config(settings: Sequence[BackendSetting]) -> dict[str, dict[str, str]]:
    config: dict[str, dict[str, str]] = {}
    for setting in settings:
        config.setdefault(setting.backend, {})[setting.key] = setting.value
    return config


def _http_options(values: argparse.Namespace) -> HttpOptions:
    return HttpOptions(
        address=values.http_address,
        port=values.http_port,
        reuse_port=values.reuse_http_port,
        max_input_size_bytes=values.http_max_input_size,
    )


def _grpc_options(values: argparse.Namespace) -> GrpcOptions:
    return GrpcOptions(
        address=values.grpc_address,
        port=values.grpc_port,
        reuse_port=values.reuse_grpc_port,
        keepalive_time_ms=values.grpc_keepalive_time,
        keepalive_timeout_ms=values.grpc_keepalive_timeout,
        keepalive_permit_without_calls=values.grpc_keepalive_permit_without_calls,
        http2_max_pings_without_data=values.grpc_http2_max_pings_without_data,
        http2_min_recv_ping_interval_without_data_ms=values.grpc_http2_min_recv_ping_interval_without_data,
        http2_max_ping_strikes=values.grpc_http2_max_ping_strikes,
        max_connection_age_ms=values.grpc_max_connection_age,
        max_connection_age_grace_ms=values.grpc_max_connection_age_grace,
    )


def _check_ports(options: ServerOptions) -> None:
    listeners: list[tuple[str, str, int]] = []
    if options.http:
        listeners.append(("HTTP", options.http.address, options.http.port))
    if options.grpc:
        listeners.append(("GRPC", options.grpc.address, options.grpc.port))
    if options.metrics.enabled:
        listeners.append(("metrics", options.metrics.address, options.metrics.port))
    taken: dict[tuple[str, int], str] = {}
    for kind, address, port in listeners:
        other = taken.setdefault((address, port), kind)
        if other != kind and port != 0:
            raise UsageError(
                f"The server cannot listen to {other} requests and {kind} requests at the same address and port "
                f"{address}:{port}."
            )
