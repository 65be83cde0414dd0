"""Addresses as files and places in them."""

from agent.stacks.modules import Modules, frame

MAPS = """\
55d0c0000000-55d0c0001000 r--p 00000000 fe:00 11 /srv/server
55d0c0001000-55d0c0003000 r-xp 00001000 fe:00 11 /srv/server
7f0000000000-7f0000001000 r-xp 00000000 00:00 0
7f0000002000-7f0000004000 r-xp 00005000 fe:00 12 /srv/a library.so
"""


def test_only_mappings_of_code_count() -> None:
    modules = Modules.parse(MAPS)
    assert modules.find(0x55D0C0000010) is None
    assert modules.find(0x55D0C0003000) is None
    assert modules.find(1) is None


def test_a_frame_without_a_name_is_a_place_in_its_file() -> None:
    modules = Modules.parse(MAPS)
    assert frame(0x7F0000002010, modules) == {
        "address": 0x7F0000002010,
        "symbol": "+0x5010",
        "module": "/srv/a library.so",
    }
    assert frame(0x7F0000000000, modules)["module"] == "[anonymous]"
    assert frame(0x55D0C0001001, modules, "main+0x1")["symbol"] == "main+0x1"


def test_a_process_that_ended_has_nothing_mapped() -> None:
    assert Modules.of(2**22 + 1).plain() == []
