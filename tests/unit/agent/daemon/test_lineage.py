"""Who is who: living processes, those that ended, and those that became another program."""

import os
import subprocess
import sys
from collections.abc import Callable

from agent.daemon.lineage import KEPT, Lineage
from collectors.processes import snapshot
from collectors.sightings import Sighting

NOBODY = 4_194_305  # above the kernel's highest pid

See = Callable[..., Sighting]


def test_a_living_process_is_read_from_proc() -> None:
    person = Lineage().find(os.getpid())
    assert person.exe == os.path.realpath(sys.executable)
    assert (person.ppid, person.uid) == (os.getppid(), os.getuid())


def test_the_chain_leads_from_a_process_to_the_first() -> None:
    lineage = Lineage()
    lineage.learn_table(snapshot(), [os.getpid()])
    told = lineage.describe(os.getpid())
    assert told["ancestry"][0]["pid"] == os.getppid()
    assert told["ancestry"][-1]["pid"] == 1


def test_a_process_that_ended_is_still_known_by_what_the_kernel_told(see: See) -> None:
    lineage = Lineage()
    lineage.learn(see("exec", "/bin/dash", pid=NOBODY, arguments=("sh", "-c", "id")))
    told = lineage.describe(NOBODY)
    assert (told["exe"], told["cmdline"], told["uid"]) == ("/bin/dash", ["sh", "-c", "id"], 33)


def test_a_new_program_replaces_the_old_one_of_the_same_process(see: See) -> None:
    lineage = Lineage()
    lineage.learn(see("exec", "/bin/dash", pid=NOBODY))
    lineage.learn(see("exec", "/usr/bin/curl", pid=NOBODY))
    assert lineage.find(NOBODY).exe == "/usr/bin/curl"


def test_a_vanished_child_that_ran_no_program_is_its_parents_image(see: See) -> None:
    lineage = Lineage()
    lineage.learn(see("exec", "/srv/server", pid=NOBODY, arguments=("server",)))
    child = lineage.find(NOBODY + 1, NOBODY)
    assert (child.pid, child.ppid, child.exe) == (NOBODY + 1, NOBODY, "/srv/server")


def test_of_a_process_nobody_knows_nothing_is_claimed() -> None:
    told = Lineage().describe(NOBODY)
    assert (told["exe"], told["cmdline"], told["ancestry"]) == ("", [], [])


def test_arguments_the_kernel_cut_short_are_completed_while_the_process_lives(see: See) -> None:
    command = [sys.executable, "-c", "print(flush=True); input()", "x" * 3000]
    with subprocess.Popen(command, stdin=-1, stdout=-1) as process:
        try:
            # Until it runs, its arguments may not be where /proc looks for them.
            assert process.stdout is not None
            process.stdout.readline()
            cut = (sys.executable, "-c", "inp")
            lineage = Lineage()
            lineage.learn(see("exec", sys.executable, pid=process.pid, arguments=cut))
            assert lineage.find(process.pid).cmdline[-1] == "x" * 3000
        finally:
            process.kill()


def test_arguments_of_a_pid_that_is_somebody_else_now_are_not_taken(see: See) -> None:
    lineage = Lineage()
    lineage.learn(see("exec", "/bin/dash", pid=os.getpid(), arguments=("sh", "-c", "id")))
    assert lineage.find(os.getpid()).cmdline == ("sh", "-c", "id")


def test_only_so_many_are_remembered_and_the_oldest_go_first(see: See) -> None:
    lineage = Lineage()
    for number in range(KEPT + 1):
        lineage.learn(see("exec", f"/bin/{number}", pid=NOBODY + number))
    assert lineage.find(NOBODY).exe == ""
    assert lineage.find(NOBODY + KEPT).exe == f"/bin/{KEPT}"


def test_what_is_no_new_program_teaches_nothing(see: See) -> None:
    lineage = Lineage()
    lineage.learn(see("file", "/etc/passwd", pid=NOBODY))
    assert lineage.find(NOBODY).exe == ""


def test_a_circle_of_parents_comes_to_an_end(see: See) -> None:
    lineage = Lineage()
    lineage.learn(see("exec", "/a", pid=NOBODY, ppid=NOBODY + 1))
    lineage.learn(see("exec", "/b", pid=NOBODY + 1, ppid=NOBODY))
    assert len(lineage.describe(NOBODY)["ancestry"]) <= 32
