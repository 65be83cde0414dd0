"""Routes are named by kind, and times read from buckets."""

import numpy as np
import pytest

from collectors.requests import quantile_ms
from collectors.routes import STREAMS, route


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/v1/chat/completions", "/v1/chat/completions"),
        ("/v2/models/bert3/versions/12/infer", "/v2/models/bert<n>/versions/<n>/infer"),
        ("/users/1234567", "/users/<n>"),
        ("/f/123e4567-e89b-12d3-a456-426614174000", "/f/<id>"),
        ("/f/0123456789abcdef/x", "/f/<id>/x"),
        ("/feedbeefdeed", "/feedbeefdeed"),
        ("/t/" + "x" * 33, "/t/<id>"),
        ("http://host:80/p/1", "/p/<n>"),
        ("/inference.GRPCInferenceService/ModelInfer",) * 2,
        ("/" + "pkg." * 9 + "Service/Call",) * 2,
        ("/" + "pkg." * 9 + "Service1/Call", "/<id>/Call"),
        ("/" + "pkg." * 9 + "Service/Call/more", "/<id>/Call/more"),
        ("/", "/"),
    ],
)
def test_a_path_is_named_by_its_kind(path: str, kind: str) -> None:
    assert route("GET", path) == f"GET {kind}"


def test_a_path_that_did_not_fit_says_so_and_a_stream_has_none() -> None:
    assert route("GET", "/a", truncated=True) == "GET /a…"
    assert route("", "") == STREAMS


def test_a_quantile_is_within_a_bucket_of_the_truth() -> None:
    buckets = np.zeros(112, np.int64)
    assert quantile_ms(buckets, 0.5, 4) is None
    buckets[4 * 12 + 1] = 98  # 4096 to 8192 of 1,024 ns: its second quarter begins at 5.24 ms
    buckets[4 * 15] = 2
    assert quantile_ms(buckets, 0.5, 4) == pytest.approx(5.24, rel=0.13)
    assert quantile_ms(buckets, 0.99, 4) == pytest.approx(33.5, rel=0.13)
