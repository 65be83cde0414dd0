import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.evidence.secrets import mask_arguments, mask_environment, mask_verdict

SECRETS = [
    ("OPENAI_API_KEY", "x"),
    ("DB_PASSWORD", "x"),
    ("GITHUB_TOKEN", "x"),
    ("DATABASE_URL", "postgres://bob:hunter2@db/x"),
    ("ANYTHING", "hf_abcdefghijkl"),
    ("ANYTHING", "AKIAIOSFODNN7EXAMPLE"),
    ("ANYTHING", "-----BEGIN RSA PRIVATE KEY-----"),
    ("ANYTHING", "3f786850e387550fdab836ed7e6dc881de23001b"),
]
PLAIN = [
    ("PATH", "/usr/local/bin:/usr/bin"),
    ("PWD", "/srv/models/llama"),
    ("CUDA_VISIBLE_DEVICES", "0,1"),
    ("MODEL", "meta-llama/Llama-3.1-8B-Instruct"),
    ("EMPTY_TOKEN", ""),
]


@pytest.mark.parametrize(("name", "value"), SECRETS)
def test_a_secret_leaves_nothing_but_its_length(name: str, value: str) -> None:
    [[kept, shown]] = mask_environment(f"{name}={value}\0".encode())
    assert (kept, shown) == (name, f"*** ({len(value)} characters)")


@pytest.mark.parametrize(("name", "value"), PLAIN)
def test_what_is_no_secret_is_shown(name: str, value: str) -> None:
    assert mask_environment(f"{name}={value}\0".encode()) == [[name, value]]


@given(st.binary())
def test_an_environment_may_hold_anything(raw: bytes) -> None:
    assert len(mask_environment(raw)) == len([entry for entry in raw.split(b"\0") if entry])


def test_an_option_hides_its_value_however_it_is_written() -> None:
    arguments = ["serve", "--api-key", "abc", "--token=abc", "--port", "8000", "--verbose", "x"]
    hidden = "*** (3 characters)"
    assert mask_arguments(arguments) == [
        "serve", "--api-key", hidden, f"--token={hidden}", "--port", "8000", "--verbose", "x",
    ]  # fmt: skip


def test_a_verdict_shows_no_secret_of_its_command_line() -> None:
    verdict = {"id": "x", "process": {"pid": 1, "cmdline": ["a", "--password", "b"]}}
    assert mask_verdict(verdict)["process"]["cmdline"][2] == "*** (1 characters)"
    assert verdict["process"] == {"pid": 1, "cmdline": ["a", "--password", "b"]}
