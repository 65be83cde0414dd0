"""What is told apart: standing still from working, a changed file from one of our own."""

import os
from pathlib import Path

from agent.config import load
from agent.daemon.tampering import Moment, changed, configured, look_at, tracer

S = 1_000_000_000


def test_time_at_work_and_time_waiting_for_a_processor_are_no_standing_still() -> None:
    before = Moment(0, 10 * S, 20 * S)
    assert Moment(9 * S, 14 * S, 24 * S).still_s(before) == 1.0
    assert Moment(9 * S, 10 * S, 20 * S).still_s(before) == 9.0


def test_this_thread_works_while_it_is_asked() -> None:
    before = Moment.now()
    while Moment.now().work_ns - before.work_ns < 20_000_000:
        pass
    assert Moment.now().still_s(before) < 5.0


def test_nobody_traces_a_test() -> None:
    assert tracer() == 0


def test_files_are_told_apart_as_added_changed_and_removed(tmp_path: Path) -> None:
    kept, gone, new = (tmp_path / name for name in ("kept", "gone", "new"))
    kept.write_text("a")
    gone.write_text("b")
    before = look_at([kept, gone, new])
    assert changed(before, look_at([kept, gone, new])) == []
    kept.write_text("other")
    gone.unlink()
    new.write_text("c")
    words = [f"{gone} was removed", f"{kept} was changed", f"{new} was added"]
    assert changed(before, look_at([kept, gone, new])) == words


def test_a_file_of_the_same_size_and_time_in_its_place_is_another(tmp_path: Path) -> None:
    path, other = tmp_path / "path", tmp_path / "other"
    path.write_text("a")
    other.write_text("b")
    seen = path.stat()
    os.utime(other, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    before = look_at([path])
    other.replace(path)
    assert changed(before, look_at([path])) == [f"{path} was changed"]


def test_what_is_configured_is_the_file_and_all_that_lies_beside_it(tmp_path: Path) -> None:
    config, drop_in = tmp_path / "agent.toml", tmp_path / "agent.d" / "one.toml"
    rules = tmp_path / "workloads.d"
    drop_in.parent.mkdir()
    rules.mkdir()
    drop_in.write_text("[budget]\nrss_mib = 200\n")
    config.write_text(f'[paths]\nworkloads = "{rules}"\nprobes = "{tmp_path}/absent"\n')
    (rules / "mine.toml").touch()
    (rules / ".swp").touch()
    settings = load(config)
    drop_in.with_name("later.toml").touch()
    wanted = {config, drop_in, drop_in.with_name("later.toml"), rules / "mine.toml"}
    assert set(configured(settings)) == wanted
