"""Each eye has a deed, says how it is told, and names why where it did not see."""

from collections.abc import Callable

import pytest

from agent.daemon import eyes
from collectors.sightings import Sighting

See = Callable[..., Sighting]
LINKS = {name for eye in eyes.EYES for name in eye.programs}
BLIND = {eye.name: eye.name != "exec" for eye in eyes.EYES}


def of_exec(**facts: object) -> dict[str, object]:
    arguments = {"failed": {}, "links": LINKS, "losses": {}} | facts
    told = eyes.findings(BLIND, **arguments)  # type: ignore[arg-type]
    return next(finding for finding in told if finding["name"] == "live: exec")


def test_no_two_eyes_have_one_name() -> None:
    names = [eye.name for eye in eyes.EYES]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("eye", eyes.EYES, ids=lambda eye: eye.name)
def test_a_deed_can_be_compiled_and_is_told_or_counted(eye: eyes.Eye) -> None:
    compile(eye.deed, eye.name, "exec")
    assert (eye.tells is None) == bool(eye.counter)
    assert eye.programs


def test_an_eye_that_saw_is_well() -> None:
    saw = dict.fromkeys(BLIND, True)
    told = eyes.findings(saw, {}, LINKS, {})
    assert {finding["state"] for finding in told} == {"ok"}


def test_an_eye_that_did_not_see_is_missing_and_only_that_one() -> None:
    told = eyes.findings(BLIND, {}, LINKS, {})
    assert [f["name"] for f in told if f["state"] != "ok"] == ["live: exec"]


def test_a_program_that_is_not_in_the_kernel_is_named() -> None:
    assert "on_exec is not in the kernel" in str(of_exec(links=LINKS - {"on_exec"})["words"])


def test_losses_are_named_as_the_reason() -> None:
    assert "ring_full 3" in str(of_exec(losses={"ring_full": 3})["words"])


def test_what_this_host_does_not_allow_is_no_blindness() -> None:
    told = of_exec(failed={"exec": "[Errno 1] Operation not permitted"})
    assert told["state"] == "ok"
    assert "Operation not permitted" in str(told["words"])


def test_a_sighting_in_the_self_tests_directory_is_told_by_its_eye_alone(see: See) -> None:
    saw = eyes.found([see("file", "/w/read")], {}, "/w")
    assert [name for name, seen in saw.items() if seen] == ["file read"]


def test_what_is_counted_needs_no_sighting() -> None:
    saw = eyes.found([], {"COUNT_FORKS": 1, "sequences": 9}, "/w")
    assert {name for name, seen in saw.items() if seen} == {"fork", "sequences of calls"}
