from agent.render.lists import containment_table

ONE = {
    "id": "c1",
    "workload": "embedder",
    "step": "contain",
    "state": "done",
    "begun_unix_ns": 0,
    "reason": "a test",
    "undo": "agent release c1",
    "cut_clients": False,
}


def test_a_containment_says_whether_clients_are_cut_and_what_was_sent() -> None:
    assert "[" not in containment_table([ONE])
    assert "[clients cut] a test" in containment_table([ONE | {"cut_clients": True}])
    sent = {"public": {"spent_bytes": 1 << 20, "refused_bytes": 0}}
    limited = ONE | {"upload_bytes": {"public": 2 << 20}, "sent": sent}
    assert "[public 1.0 MiB of 2.0 MiB an hour] a test" in containment_table([limited])


def test_nothing_contained_is_a_sentence() -> None:
    assert containment_table([]) == "Nothing is contained."
