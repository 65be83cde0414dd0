"""Requests beyond what was learnt are told with their numbers; ordinary peaks are not."""

from dataclasses import replace
from typing import Any

import pytest

from detectors.assessment import Assessment, BaselineState, Level
from detectors.baseline import Baseline
from detectors.judge import Judge
from detectors.merging import merge
from detectors.settings import JudgeSettings
from detectors.window import Item, ItemKind, Phase, Route, Traffic, Window

NS = 1_000_000_000
PREDICT = Route("POST /predict", 20, 20, 20, 0, 0, 20 * 400, 20 * 90)
USUAL = Traffic(1.0, (PREDICT,), "10.0.0.1", 20, 8)


def times(route: Route, factor: int) -> Route:
    fields = ("requests", "answered", "answers", "errors", "refusals", "bytes_in", "bytes_out")
    more: dict[str, Any] = {name: getattr(route, name) * factor for name in fields}
    return replace(route, **more)


def guarding(*items: Item) -> Judge:
    baseline = Baseline("llm", BaselineState.LEARNING)
    judge = Judge(JudgeSettings(), baseline)
    for at in range(60):
        told = items if not at else ()
        judge.observe(window(at, USUAL, *told))
    baseline.state = BaselineState.GUARDING
    return judge


def window(at: int, traffic: Traffic | None, *items: Item) -> Window:
    features = {"syscalls": 100.0}
    return Window("llm", at * NS, 1.0, Phase.STEADY, 0, features, items=items, traffic=traffic)


def asked(text: str, at: int = 0) -> Item:
    return Item(ItemKind.ENDPOINT, text, "main", at * NS, 7, "/usr/bin/python3")


def after(judge: Judge, traffic: Traffic, windows: int = 10) -> Assessment:
    """The gravest of some windows of this traffic."""
    found = [judge.observe(window(100 + at, traffic)) for at in range(windows)]
    return max(found, key=lambda one: one.level)


def names(found: Assessment) -> set[str]:
    return {one.item for one in found.novel}


def test_a_client_that_sweeps_is_a_verdict_with_its_numbers() -> None:
    found = after(guarding(), replace(USUAL, client="203.0.113.7", client_inputs=300))
    assert names(found) == {"client-sweep"}
    assert found.level is Level.MEDIUM
    assert "swept by one client" in found.summary
    assert "203.0.113.7: about 300 different ones, learnt at most 8" in found.summary
    assert "AML.T0024" in found.techniques


def test_a_client_that_floods_is_a_verdict() -> None:
    flood = replace(USUAL, routes=(times(PREDICT, 30),), client="10.9.9.9", client_requests=600)
    assert names(after(guarding(), flood)) == {"client-flood"}


@pytest.mark.parametrize("clients", [1, 10])
def test_ten_times_the_load_is_none_spread_or_through_one_balancer(clients: int) -> None:
    peak = replace(USUAL, routes=(times(PREDICT, 10),), client_requests=200 // clients)
    assert after(guarding(), peak).level is Level.INFO


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"errors": 10}, "error-burst"),
        ({"refusals": 18}, "refusal-burst"),
        ({"bytes_in": 20 * 90_000}, "requests-grown"),
        ({"bytes_out": 20 * 90_000}, "answers-grown"),
    ],
)
def test_failures_and_sizes_beyond_what_was_learnt_are_verdicts(
    change: dict[str, Any], name: str
) -> None:
    found = after(guarding(), replace(USUAL, routes=(replace(PREDICT, **change),)))
    assert names(found) == {name}
    assert "learnt at most" in found.summary


def test_output_that_nobody_asked_for_is_a_verdict() -> None:
    assert names(after(guarding(), replace(USUAL, unasked_bytes=500_000))) == {"answers-unasked"}


def test_one_failed_request_of_few_is_none() -> None:
    few = replace(PREDICT, requests=2, answered=2, answers=2, errors=1)
    assert after(guarding(), replace(USUAL, routes=(few,))).level is Level.INFO


def test_too_little_that_was_learnt_says_nothing() -> None:
    baseline = Baseline("llm", BaselineState.GUARDING)
    judge = Judge(JudgeSettings(), baseline)
    assert not after(judge, replace(USUAL, client_inputs=300)).novel


@pytest.mark.parametrize(
    "call",
    [
        "POST /v2/repository/models/bert/load",
        "POST /v2/repository/models/bert/unload",
        "POST /v1/load_lora_adapter",
        "POST /update_weights_from_disk",
        "POST /sleep",
        "POST /api/pull",
        "DELETE /api/delete",
        "POST /api/jobs/",
        "PUT /api/serve/applications/",
        "POST /models",
        "DELETE /models/bert",
        "PUT /models/bert/<n>.<n>/set-default",
        "POST /slots/<n>",
        "POST /v2/systemsharedmemory/region/x/register",
        "POST /gateway/collective_rpc",
        "GET /terminate",
        "POST /distserve/p2p_connect",
        "POST /destroy_weights_update_group",
        "POST /inference.GRPCInferenceService/RepositoryModelLoad",
        "POST /inference.GRPCInferenceService/CudaSharedMemoryRegister",
        "POST /org.pytorch.serve.grpc.management.ManagementAPIsService/ScaleWorker",
        "POST /tensorflow.serving.ModelService/HandleReloadConfigRequest",
    ],
)
def test_a_management_call_never_made_is_high_at_once(call: str) -> None:
    found = guarding(asked("POST /predict")).assess_item(asked(call))
    assert found is not None
    assert found.level is Level.HIGH
    assert found.sensitive
    assert "management call" in found.reason


@pytest.mark.parametrize(
    "call",
    [
        *("GET /v1/models", "GET /models", "GET /health", "GET /metrics", "GET /sleep"),
        *("GET /v2/health/ready", "GET /v2/models/bert/ready", "POST /predictions/bert"),
        "POST /v1/chat/completions",
        "POST /inference.GRPCInferenceService/RepositoryIndex",
        "POST /inference.GRPCInferenceService/ModelInfer",
    ],
)
def test_looks_and_predictions_are_no_management(call: str) -> None:
    found = guarding(asked("POST /predict")).assess_item(asked(call))
    assert found is not None
    assert found.level <= Level.LOW


def test_what_was_called_while_it_was_learnt_is_known_by_method_and_model() -> None:
    judge = guarding(asked("POST /v2/repository/models/bert/load"))
    assert judge.assess_item(asked("POST /v2/repository/models/bert/load")) is None
    other = judge.assess_item(asked("POST /v2/repository/models/other/load"))
    assert other is not None
    assert other.level is Level.HIGH


def test_many_new_routes_at_once_are_a_probe() -> None:
    judge = guarding(asked("POST /predict"))
    new = [asked(f"GET /{name}", 100) for name in "abcdefgh"]
    found = judge.observe(window(100, USUAL, *new))
    assert found.level is Level.MEDIUM
    assert "routes-probed" in names(found)
    assert judge.observe(window(101, USUAL, new[0])).level is Level.LOW


def test_requests_are_no_news_where_none_was_read_while_it_was_learnt() -> None:
    found = guarding().assess_item(asked("POST /predict"))
    assert found is not None
    assert found.level is Level.INFO


def test_what_was_asked_outlives_a_restart_and_a_merger() -> None:
    baseline = guarding().baseline
    again = Baseline.from_bytes(baseline.to_bytes())
    assert again.traffic == baseline.traffic
    assert merge([baseline, again]).traffic.highs == baseline.traffic.highs
