from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import words
from detectors.errors import SequenceError
from detectors.ngram import NgramModel

TRACES = st.lists(st.lists(st.integers(0, 12), min_size=1, max_size=60), min_size=1, max_size=5)


def all_words(traces: list[list[int]]) -> words.Words:
    return np.concatenate([words.from_numbers(trace) for trace in traces])


def learnt(traces: list[list[int]]) -> NgramModel:
    model = NgramModel()
    model.learn(*words.count(all_words(traces)))
    return model


def test_a_word_holds_seven_calls_the_newest_lowest() -> None:
    (word,) = words.from_numbers([0, 1, 2, 3, 4, 5, 6])[-1:]
    assert [(int(word) >> (9 * back)) & 511 for back in range(7)] == [7, 6, 5, 4, 3, 2, 1]
    assert words.names(int(word))[:2] == ("read", "write")


def test_a_threads_first_word_has_nothing_before_it() -> None:
    assert words.names(int(words.from_numbers([59])[0])) == ("execve",)


@settings(max_examples=25, deadline=None)
@given(TRACES, TRACES)
def test_kernel_counts_and_full_traces_give_the_same_model_and_scores(
    train: list[list[int]], test: list[list[int]]
) -> None:
    by_trace = NgramModel()
    for trace in train:
        run = words.from_numbers(trace)
        by_trace.learn(run, np.ones(len(run), np.uint64))
    by_counts = learnt(train)
    run = all_words(test)
    ones = np.ones(len(run), np.uint64)
    assert by_trace.score(run, ones) == pytest.approx(by_counts.score(*words.count(run)))


@settings(max_examples=15, deadline=None)
@given(TRACES)
def test_what_may_follow_a_context_adds_up_to_one(train: list[list[int]]) -> None:
    model = learnt(train)
    context = int(all_words(train)[-1]) << 9
    following = [(context | symbol) & ((1 << 63) - 1) for symbol in range(1, 512)]
    surprisal = model.surprisal(np.array(following, np.uint64))
    assert surprisal is not None
    assert np.exp2(-surprisal).sum() == pytest.approx(1.0)


def test_learnt_order_is_less_surprising_than_the_same_calls_shuffled() -> None:
    trace = [0, 1, 2, 3, 4, 5, 6, 7] * 50
    model = learnt([trace])
    shuffled = np.random.default_rng(1).permutation(trace)
    known = model.score(*words.count(words.from_numbers(trace)))
    odd = model.score(*words.count(words.from_numbers(shuffled)))
    assert known is not None
    assert odd is not None
    assert odd > known + 3


def test_numbers_beyond_nine_bits_are_refused() -> None:
    with pytest.raises(SequenceError):
        words.from_numbers([511])
    with pytest.raises(SequenceError):
        words.from_numbers([-1])


def test_the_rarest_words_are_left_out_and_counted() -> None:
    model = NgramModel(max_words=10)
    many = np.arange(1, 21, dtype=np.uint64)
    model.learn(many, many)
    assert len(model.words) == 10
    assert model.left_out == sum(range(1, 11))
