"""What one look at the processes takes over from the one before."""

from typing import Any

from collectors.processes import Process, ProcessTable, snapshot

# The `host` fixture lives in the conftest above, which is no module to import from.
Host = Any
PID = 50


def _one(table: ProcessTable) -> Process:
    found = table.get(PID)
    assert found is not None
    return found


def test_what_was_read_of_a_program_is_not_read_again(host: Host) -> None:
    host.add(PID, ["python3", "serve.py"])
    before = host.table()
    assert _one(before).cmdline == ("python3", "serve.py")
    (host.root / str(PID) / "cmdline").write_bytes(b"renamed\0")
    after = snapshot(str(host.root), before)
    assert _one(after).cmdline == ("python3", "serve.py")


def test_a_program_known_to_be_new_is_read_anew(host: Host) -> None:
    host.add(PID, ["python3", "serve.py"])
    before = host.table()
    assert _one(before).cmdline
    (host.root / str(PID) / "cmdline").write_bytes(b"another\0")
    assert _one(snapshot(str(host.root), before, ran={PID})).cmdline == ("another",)


def test_another_process_with_the_pid_takes_nothing_over(host: Host) -> None:
    host.add(PID, ["python3", "serve.py"])
    before = host.table()
    assert _one(before).cmdline
    host.remove(PID)
    host.add(PID, ["other"], start=77)
    assert _one(snapshot(str(host.root), before)).cmdline == ("other",)


def test_ports_and_libraries_are_always_read_anew(host: Host) -> None:
    host.add(PID, ["python3", "serve.py"])
    before = host.table()
    assert not _one(before).mapped
    host.remove(PID)
    host.add(PID, ["python3", "serve.py"], libraries=["/usr/lib/libtorch.so"])
    assert _one(snapshot(str(host.root), before)).mapped_names == {"libtorch.so"}
