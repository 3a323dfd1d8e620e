"""The command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tritonpy.repository.options import ControlMode
from tritonpy.server.options import OPTIONS, ServerOptions, UsageError, parse_options, parser

REPOSITORY = "--model-repository=/models"


def parse(*arguments: str) -> ServerOptions:
    return parse_options([REPOSITORY, *arguments])


def test_defaults_are_tritons() -> None:
    options = parse()
    assert options.id == "triton"
    assert options.exit_timeout_s == 30
    assert options.http is not None
    assert (options.http.address, options.http.port, options.http.max_input_size_bytes) == ("0.0.0.0", 8000, 2**26)
    assert options.grpc is not None
    assert (options.grpc.port, options.grpc.keepalive_time_ms) == (8001, 7_200_000)
    assert (options.metrics.enabled, options.metrics.address, options.metrics.port) == (True, "0.0.0.0", 8002)
    assert options.repository.repositories == (Path("/models"),)
    assert options.repository.auto_complete
    assert options.repository.exit_on_error


@pytest.mark.parametrize("text", ["true", "True", "on", "1"])
def test_booleans_take_several_texts(text: str) -> None:
    assert parse("--strict-model-config", text).repository.auto_complete is False
    assert parse(f"--reuse-http-port={text}").http is not None


def test_values_follow_the_name_or_an_equals_sign_and_the_last_one_counts() -> None:
    options = parse("--http-port", "1", "--http-port=2", "--log-verbose=true")
    assert options.http is not None
    assert options.http.port == 2
    assert options.log.verbose_level == 1


def test_repositories_add_up_without_duplicates() -> None:
    options = parse_options(["--model-repository=/a", "--model-store", "/b", "--model-repository=/a"])
    assert options.repository.repositories == (Path("/a"), Path("/b"))


def test_switched_off_front_ends() -> None:
    options = parse("--allow-http=false", "--allow-grpc=0", "--allow-metrics=off")
    assert (options.http, options.grpc, options.metrics.enabled) == (None, None, False)


def test_backend_settings_are_of_one_backend_or_of_all() -> None:
    options = parse("--backend-config=default-max-batch-size=8", "--backend-config=onnxruntime,a=b=c,d")
    assert options.repository.backend_settings("onnxruntime") == {"default-max-batch-size": "8", "a": "b=c,d"}
    assert options.repository.backend_settings("python") == {"default-max-batch-size": "8"}


def test_explicit_mode() -> None:
    options = parse("--model-control-mode=explicit", "--load-model=a", "--load-model=b")
    assert options.repository.control_mode is ControlMode.EXPLICIT
    assert options.repository.load_models == ("a", "b")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--model-repository must be specified"),
        ([REPOSITORY, "--http-port=abc"], "Invalid option value. Got abc"),
        ([REPOSITORY, "--http-port=70000"], "out of bound. Got 70000, expected 0 to 65535"),
        ([REPOSITORY, "--exit-on-error=maybe"], "invalid value for bool option: maybe"),
        ([REPOSITORY, "--bogus=1"], "--bogus=1"),
        (
            [REPOSITORY, "--model-control-mode=often"],
            "unknown model control mode 'often', expected one of: none, explicit",
        ),
        ([REPOSITORY, "--backend-config=x"], "needs <backend>,<key>=<value>, got 'x'"),
        ([REPOSITORY, "--load-model=a"], "requires setting '--model-control-mode=explicit'"),
        (
            [REPOSITORY, "--model-control-mode=explicit", "--load-model=*", "--load-model=a"],
            "Wildcard model name '*' must be the ONLY startup model",
        ),
        (
            [REPOSITORY, "--grpc-port=8000"],
            "cannot listen to HTTP requests and GRPC requests at the same address and port 0.0.0.0:8000",
        ),
    ],
)
def test_what_is_wrong_is_told(arguments: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_options(arguments)
    assert message in str(caught.value)


def test_help_names_every_option() -> None:
    text = parser().format_help()
    for option in OPTIONS:
        assert f"--{option.name}" in text
