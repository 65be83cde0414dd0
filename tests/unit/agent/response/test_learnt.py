"""What a baseline knows becomes what the kernel allows: no narrower than what was learnt."""

from agent.response.learnt import learnt
from detectors.repertoire import MANY_PORTS, Repertoire
from detectors.window import Item, ItemKind, stranger
from probes.reflex import of_peer, of_port

TCP, UDP = 6, 17


def known(*items: tuple[str, str], role: str = "main") -> Repertoire:
    found = Repertoire()
    for kind, text in items:
        found.add(Item(ItemKind(kind), text, role, 0, 77, exe="/usr/bin/python3.11"))
    return found


def test_programs_are_those_that_were_run_and_those_that_did_anything() -> None:
    found = learnt(known(("exec", "/usr/bin/id"), ("file", "/srv/x")), ())
    assert found.programs == {"/usr/bin/id", "/usr/bin/python3.11"}
    assert found.names == set()


def test_a_program_in_a_directory_of_changing_name_is_known_by_its_own() -> None:
    path = "/home/a/.cache/pytriton/workspace_8f3k2m1q/bin/tritonserver"
    found = learnt(known(("exec", path)), ())
    assert found.names == {"tritonserver"}
    assert found.programs == {"/usr/bin/python3.11"}


def test_marks_of_a_program_are_no_part_of_its_path() -> None:
    found = Repertoire()
    marks = frozenset({"stdio-socket"})
    found.add(Item(ItemKind.EXEC, "/usr/bin/git", "main", 0, 77, marks=marks))
    assert learnt(found, ()).programs == {"/usr/bin/git"}


def test_secrets_are_files_of_a_sensitive_class_and_below_the_hosts_places() -> None:
    seen = known(
        ("file", "/home/a/.aws/credentials"),
        ("write", "/etc/kubernetes/state"),
        ("file", "/srv/models/weights.bin"),
        ("file", "/etc/kubernetes-docs/readme"),
    )
    found = learnt(seen, ("/etc/kubernetes", "/etc/shadow"))
    assert found.secrets == {"/home/a/.aws/credentials", "/etc/kubernetes/state"}


def test_a_secret_that_was_asked_for_in_vain_is_not_allowed() -> None:
    found = Repertoire()
    marks = frozenset({"refused-open"})
    found.add(Item(ItemKind.FILE, "/etc/shadow", "main", 0, 77, marks=marks))
    assert learnt(found, ("/etc/shadow",)).secrets == set()


def test_a_peer_is_its_address_with_its_port() -> None:
    found = learnt(known(("peer", "tcp 10.0.0.1:443"), ("peer", "udp [fd00::1]:53")), ()).peers
    assert found == {of_peer(TCP, "10.0.0.1", 443), of_peer(UDP, "fd00::1", 53)}


def test_an_ephemeral_port_stands_for_any_of_its_address() -> None:
    found = learnt(known(("peer", "tcp 127.0.0.1:40000")), ()).peers
    assert found == {of_peer(TCP, "127.0.0.1", 40000), of_peer(TCP, "127.0.0.1", 0)}


def test_many_ephemeral_ports_of_an_address_do_too() -> None:
    ports = [("peer", f"tcp 10.1.1.1:{33000 + at}") for at in range(MANY_PORTS)]
    assert of_peer(TCP, "10.1.1.1", 0) in learnt(known(*ports), ()).peers


def test_a_public_peer_stands_for_every_public_one_on_its_port() -> None:
    found = learnt(known(("peer", "tcp 8.8.8.8:443")), ()).peers
    assert found == {of_peer(TCP, "8.8.8.8", 443), of_port(TCP, 443)}


def test_who_called_local_names_and_questions_are_no_peers_to_connect_to() -> None:
    seen = known(
        ("peer", "accept tcp 10.0.0.9"),
        ("peer", "unix /run/x.sock"),
        ("peer", "dns example.org"),
        ("peer", "refused tcp 10.0.0.1:80"),
    )
    assert learnt(seen, ()).peers == set()


def test_what_a_stranger_did_allows_nothing() -> None:
    seen = known(("file", "/root/.ssh/id_rsa"), role=stranger("/usr/bin/rsync"))
    assert learnt(seen, ("/root/.ssh",)).secrets == set()
