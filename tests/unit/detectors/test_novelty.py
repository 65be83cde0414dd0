from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import novelty
from detectors.assessment import Level
from detectors.repertoire import Repertoire, key_of
from detectors.window import Item, ItemKind, Phase, stranger
from tests.unit.detectors.factory import EXE, MODEL, USUAL, item

ATTACKS = [
    ("exec", "/bin/sh", Level.CRITICAL),
    ("exec", "/usr/bin/fish", Level.CRITICAL),
    ("exec", "/opt/odd/rbash", Level.CRITICAL),
    ("exec", "/usr/bin/perl5.36.0", Level.CRITICAL),
    ("exec", "/usr/bin/socat", Level.CRITICAL),
    ("exec", "/dev/shm/kworker", Level.CRITICAL),
    ("exec", "/usr/local/bin/never-heard-of-it", Level.HIGH),
    ("exec", "/usr/bin/gcc-12", Level.HIGH),
    ("file", "/root/.ssh/id_ed25519", Level.CRITICAL),
    ("file", "/home/anna/.aws/credentials", Level.CRITICAL),
    ("file", "/srv/app/.env", Level.CRITICAL),
    ("file", "/srv/app/.env.production", Level.CRITICAL),
    ("file", "/etc/shadow", Level.CRITICAL),
    ("file", "/root/.cache/huggingface/token", Level.CRITICAL),
    ("file", "/var/run/secrets/kubernetes.io/serviceaccount/token", Level.CRITICAL),
    ("file", "/srv/backup/db_password.txt", Level.CRITICAL),
    ("file", "/proc/1/environ", Level.CRITICAL),
    ("file", "/srv/tls/server.key", Level.CRITICAL),
    ("write", "/etc/cron.d/update", Level.CRITICAL),
    ("write", "/etc/systemd/system/x.service", Level.CRITICAL),
    ("write", "/root/.ssh/authorized_keys", Level.CRITICAL),
    ("write", "/srv/venv/lib/python3.11/site-packages/x.pth", Level.CRITICAL),
    ("write", "/srv/venv/lib/python3.11/site-packages/model.pth", Level.CRITICAL),
    ("write", "/srv/odd/start.pth", Level.CRITICAL),
    ("write", "/srv/venv/lib/python3.11/site-packages/fastapi/app.py", Level.HIGH),
    ("write", "/etc/ld.so.preload", Level.CRITICAL),
    ("write", "/usr/bin/ls", Level.HIGH),
    ("library", "/tmp/inject.so", Level.HIGH),
    ("library", "/home/anna/x.so", Level.HIGH),
    ("peer", "tcp 203.0.113.9:443", Level.HIGH),
    ("peer", "tcp 127.0.0.1:4444", Level.HIGH),
    ("peer", "tcp 127.0.0.1:45555", Level.HIGH),
    ("peer", "udp [2001:db8::1]:53", Level.HIGH),
    ("peer", "tcp 169.254.169.254:80", Level.CRITICAL),
    ("peer", "tcp [fd00:ec2::254]:80", Level.CRITICAL),
    ("peer", "tcp [::ffff:169.254.169.254]:80", Level.CRITICAL),
    ("peer", "tcp 169.254.170.2:80", Level.CRITICAL),
    ("peer", "tcp 169.254.170.23:80", Level.CRITICAL),
    ("peer", "tcp 100.100.100.200:80", Level.CRITICAL),
    ("peer", "tcp 168.63.129.16:80", Level.CRITICAL),
    ("peer", "udp 169.254.169.254:53", Level.CRITICAL),
    ("peer", "dns metadata.google.internal", Level.CRITICAL),
    ("peer", "unix /var/run/docker.sock", Level.CRITICAL),
    ("listen", "tcp 0.0.0.0:31337", Level.HIGH),
    ("listen", "tcp 127.0.0.1:3333", Level.HIGH),
    ("syscall", "socket packet raw", Level.HIGH),
    ("syscall", "socket inet raw icmp", Level.HIGH),
    ("syscall", "socket netlink netfilter", Level.HIGH),
    ("syscall", "socket alg seqpacket", Level.HIGH),
    ("syscall", "socket vsock stream", Level.MEDIUM),
    ("syscall", "ptrace", Level.CRITICAL),
    ("syscall", "setns", Level.CRITICAL),
    ("syscall", "foreign ptrace", Level.CRITICAL),
    ("syscall", "setuid", Level.MEDIUM),
    ("syscall", "prctl set-mm", Level.HIGH),
    ("syscall", "foreign prctl set-ptracer", Level.MEDIUM),
    ("syscall", "prctl ambient-capabilities", Level.MEDIUM),
    ("syscall", "ioctl type-on-terminal", Level.HIGH),
    ("syscall", "ioctl add-route", Level.HIGH),
    ("syscall", "fspick", Level.CRITICAL),
    ("syscall", "kill SIGKILL -> /usr/sbin/sshd", Level.HIGH),
    ("capability", "namespace mount,pid", Level.CRITICAL),
]

LOOK_ALIKES = [
    ("file", "/srv/models/digits/v1/model.onnx"),
    ("file", "/srv/models/digits/v2/model.onnx"),
    ("file", "/srv/models/digits/v1/added_tokens.json"),
    ("file", "/srv/models/digits/v1/tokenizer.json"),
    ("file", "/srv/venv/lib/python3.11/site-packages/requests/auth.py"),
    ("file", "/srv/venv/lib/python3.11/site-packages/jwt/__pycache__/secrets.cpython-311.pyc"),
    ("file", "/srv/venv/lib/python3.11/site-packages/certifi/cacert.pem"),
    ("library", "/srv/venv/lib/python3.11/site-packages/scipy/linalg/_flapack.so"),
    ("library", "/usr/lib/x86_64-linux-gnu/libgomp.so.1.0.0"),
    ("write", "/srv/venv/lib/python3.11/site-packages/x/__pycache__/a.cpython-311.pyc.140"),
    ("write", "/tmp/tmpq7r8s9t0/part"),
    ("write", "/var/log/srv/model_final.pth"),
    ("write", "/var/log/srv/a.log.1"),
    ("file", "/proc/self/status"),
    ("syscall", "set-name VLLM::EngineCore"),
    ("syscall", "kill SIGTERM -> its parent /usr/bin/tini"),
    ("syscall", "kill SIGUSR1 -> /usr/bin/monitor"),
    ("file", "/proc/77/environ"),
    ("file", "/sys/fs/cgroup/memory.max"),
    ("file", "/usr/share/zoneinfo/Europe/Berlin"),
    ("file", "/etc/resolv.conf"),
    ("file", "/etc/hosts"),
    ("file", "/etc/nsswitch.conf"),
    ("peer", "accept tcp 127.0.0.1"),
    ("peer", "udp 127.0.0.53:53"),
    ("peer", "unix /var/run/nscd/socket"),
    ("peer", f"accept unix by {EXE} uid 1000"),
    ("syscall", "socket netlink route"),
    ("syscall", "socket inet stream mptcp"),
    ("exec", EXE),
]


@pytest.fixture
def known() -> Repertoire:
    found = Repertoire()
    for one in USUAL:
        found.add(one)
    return found


@pytest.mark.parametrize(("kind", "text", "level"), ATTACKS)
def test_first_step_of_an_attack_is_at_least(
    known: Repertoire, kind: str, text: str, level: Level
) -> None:
    found = novelty.assess(item(kind, text), known)
    assert found is not None
    assert found.level >= level
    assert found.techniques
    assert found.reason


@pytest.mark.parametrize(("kind", "text"), LOOK_ALIKES)
def test_legitimate_look_alike_stays_low(known: Repertoire, kind: str, text: str) -> None:
    found = novelty.assess(item(kind, text), known)
    assert found is None or found.level <= Level.LOW


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([one for one in ATTACKS if one[2] is Level.CRITICAL]))
def test_learning_one_sensitive_thing_never_excuses_another(attack: tuple[str, str, Level]) -> None:
    kind, text, _ = attack
    known = Repertoire()
    for other, name, level in ATTACKS:
        one = item(other, name)
        if key_of(one) != key_of(item(kind, text)) and level is Level.CRITICAL:
            known.add(one)
    found = novelty.assess(item(kind, text), known)
    assert found is not None
    assert found.sensitive


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "[::ffff:169.254.170.2]", "[fd00:ec2::254]"]
)
def test_metadata_that_does_not_answer_is_critical_unless_it_is_known(
    known: Repertoire, address: str
) -> None:
    refused = item("peer", f"refused tcp {address}:80")
    found = novelty.assess(refused, known)
    assert found is not None
    assert (found.level, found.sensitive) == (Level.CRITICAL, True)
    known.add(item("peer", f"tcp {address}:80"))
    found = novelty.assess(refused, known)
    assert found is not None
    assert (found.level, found.sensitive) == (Level.INFO, False)


@pytest.mark.parametrize(
    ("service", "level"),
    [
        ("/run/docker.sock", Level.HIGH),
        ("/run/dbus/system_bus_socket", Level.MEDIUM),
        ("/run/odd.sock", Level.LOW),
        ("/var/run/nscd/socket", Level.INFO),
    ],
)
def test_a_local_service_that_is_not_there_weighs_as_an_attempt(
    known: Repertoire, service: str, level: Level
) -> None:
    found = novelty.assess(item("peer", f"refused unix {service}", marks=("enoent",)), known)
    assert found is not None
    assert found.level is level


def test_a_door_to_every_network_weighs_more_than_one_to_the_host_itself(
    known: Repertoire,
) -> None:
    doors = [
        item("listen", "tcp 127.0.0.1:40001"),
        item("listen", "tcp 127.0.0.1:4001"),
        item("listen", "tcp 0.0.0.0:4001", marks=("wildcard",)),
    ]
    levels = [found.level for door in doors if (found := novelty.assess(door, known))]
    assert levels == [Level.MEDIUM, Level.HIGH, Level.CRITICAL]


def test_a_port_of_the_kernels_choice_stands_for_the_next_one_on_loopback_only(
    known: Repertoire,
) -> None:
    known.add(item("listen", "tcp 127.0.0.1:40001"))
    known.add(item("listen", "tcp 0.0.0.0:40001", marks=("wildcard",)))
    assert known.knows(item("listen", "tcp 127.0.0.1:40002"))
    assert not known.knows(item("listen", "tcp 0.0.0.0:40002", marks=("wildcard",)))


def test_a_callers_program_stands_for_itself_in_any_workspace_and_for_its_user_alone(
    known: Repertoire,
) -> None:
    known.add(item("peer", "accept unix by /root/.cache/workspace_a1b2c3/stub uid 1000"))
    assert known.knows(item("peer", "accept unix by /root/.cache/workspace_d4e5f6/stub uid 1000"))
    other = item(
        "peer", "accept unix by /root/.cache/workspace_d4e5f6/stub uid 33", marks=("other-user",)
    )
    found = novelty.assess(other, known)
    assert found is not None
    assert found.level is Level.MEDIUM


def test_learnt_secret_is_ordinary_for_its_role_only(known: Repertoire) -> None:
    known.add(item("file", "/root/.cache/huggingface/token"))
    assert novelty.assess(item("file", "/root/.cache/huggingface/token"), known) is None
    stranger = item("file", "/root/.cache/huggingface/token", role="unknown-child")
    found = novelty.assess(stranger, known)
    assert found is not None
    assert found.level is Level.CRITICAL


@pytest.mark.parametrize(
    ("kind", "mark", "path", "level"),
    [
        ("file", "refused-open", "/etc/shadow", Level.HIGH),
        ("file", "refused-open", "/root/.ssh/id_ed25519", Level.HIGH),
        ("write", "refused-write", "/etc/cron.d/update", Level.HIGH),
        ("write", "refused-write", "/etc/odd", Level.MEDIUM),
        ("file", "refused-open", "/dev/nvidia0", Level.MEDIUM),
        ("file", "refused-open", "/mnt/data/others", Level.LOW),
        ("file", "refused-open", "/srv/models/digits/v1/new", Level.INFO),
        ("write", "refused-write", "/usr/lib/python3/__pycache__/x.pyc", Level.INFO),
    ],
)
def test_what_the_kernel_did_not_allow_weighs_as_an_attempt(
    known: Repertoire, kind: str, mark: str, path: str, level: Level
) -> None:
    found = novelty.assess(item(kind, path, marks=(mark, "given")), known)
    assert found is not None
    assert found.level is level
    assert found.reason.endswith("the kernel did not allow it")


def test_an_attempt_that_was_learnt_excuses_no_deed(known: Repertoire) -> None:
    known.add(item("file", "/etc/shadow", marks=("refused-open",)))
    known.add(item("file", "/mnt/data/others", marks=("refused-open",)))
    assert novelty.assess(item("file", "/etc/shadow", marks=("refused-open",)), known) is None
    for path, level in (("/etc/shadow", Level.CRITICAL), ("/mnt/data/more", Level.MEDIUM)):
        found = novelty.assess(item("file", path), known)
        assert found is not None
        assert found.level is level


@pytest.mark.parametrize(
    "path",
    ["/srv/models/", "/srv/models/digits/", "/srv/models/digits/v1/", "/tmp/", "/proc/77/fd/"],
)
def test_a_server_may_look_into_what_is_around_its_files(known: Repertoire, path: str) -> None:
    found = novelty.assess(item("file", path, marks=("listed",)), known)
    assert found is not None
    assert found.level is Level.INFO


@pytest.mark.parametrize("path", ["/home/", "/home/anna/", "/root/", "/srv/", "/", "/mnt/data/"])
def test_looking_into_other_places_is_told(known: Repertoire, path: str) -> None:
    found = novelty.assess(item("file", path, marks=("listed",)), known)
    assert found is not None
    assert found.level is Level.MEDIUM


def test_a_directory_it_was_learnt_to_open_it_may_list(known: Repertoire) -> None:
    known.add(item("file", "/opt/queue/jobs"))
    found = novelty.assess(item("file", "/opt/queue/jobs/", marks=("listed",)), known)
    assert found is not None
    assert found.level is Level.INFO


def test_learnt_program_with_a_socket_as_its_input_is_new(known: Repertoire) -> None:
    found = novelty.assess(item("exec", EXE, marks=("stdio-socket",)), known)
    assert found is not None
    assert found.level is Level.CRITICAL


@pytest.mark.parametrize("mark", ["ld-preload", "ld-audit"])
def test_learnt_program_with_other_code_in_it_is_new(known: Repertoire, mark: str) -> None:
    known.add(item("exec", EXE))
    found = novelty.assess(item("exec", EXE, marks=(mark,)), known)
    assert found is not None
    assert found.level >= Level.HIGH


def test_start_up_expects_new_files_but_no_secrets(known: Repertoire) -> None:
    plain = novelty.assess(item("file", "/opt/data/x.bin"), known, Phase.STARTUP)
    secret = novelty.assess(item("file", "/etc/shadow"), known, Phase.STARTUP)
    assert plain is not None
    assert plain.level <= Level.LOW
    assert secret is not None
    assert secret.level is Level.CRITICAL


def test_start_up_never_watched_may_run_a_shell_but_no_dropped_program(known: Repertoire) -> None:
    shell = novelty.assess(item("exec", "/bin/sh"), known, Phase.STARTUP)
    dropped = novelty.assess(item("exec", "/tmp/x"), known, Phase.STARTUP)
    known.phases.add(Phase.STARTUP)
    watched = novelty.assess(item("exec", "/bin/sh"), known, Phase.STARTUP)
    assert [found and found.level for found in (shell, dropped, watched)] == [
        Level.MEDIUM,
        Level.CRITICAL,
        Level.CRITICAL,
    ]


def test_many_files_of_one_directory_stand_for_all_of_it(known: Repertoire) -> None:
    for at in range(60):
        known.add(item("file", f"/opt/data/{chr(97 + at % 26)}{chr(97 + at // 26)}.bin"))
    assert novelty.assess(item("file", "/opt/data/zz-other.bin"), known) is None
    found = novelty.assess(item("file", "/opt/data/private_key.bin"), known)
    assert found is not None
    assert found.sensitive


def test_a_few_ephemeral_ports_do_not_stand_for_all(known: Repertoire) -> None:
    for port in range(40_000, 40_005):
        known.add(item("peer", f"tcp 127.0.0.1:{port}"))
    assert novelty.assess(item("peer", "tcp 127.0.0.1:50000"), known) is not None
    for port in range(40_005, 40_020):
        known.add(item("peer", f"tcp 127.0.0.1:{port}"))
    assert novelty.assess(item("peer", "tcp 127.0.0.1:50000"), known) is None
    assert novelty.assess(item("peer", "tcp 127.0.0.1:4444"), known) is not None


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(list(ItemKind)), st.text(max_size=200))
def test_any_text_is_judged_and_then_known(kind: ItemKind, text: str) -> None:
    known = Repertoire()
    one = item(kind, text)
    assert novelty.assess(one, known) is not None
    known.add(one)
    assert novelty.assess(one, known) is None


@pytest.mark.parametrize(
    ("mark", "level"),
    [("kernel-name", Level.HIGH), ("unlinked", Level.MEDIUM), ("replaced", Level.LOW)],
)
def test_a_known_program_in_another_shape_is_new(
    known: Repertoire, mark: str, level: Level
) -> None:
    found = novelty.assess(item("exec", EXE, marks=(mark,)), known)
    assert found is not None
    assert found.level is level


@pytest.mark.parametrize(
    ("mark", "level"), [("stranger", Level.MEDIUM), ("other-owner", Level.HIGH)]
)
def test_a_strangers_segment_is_not_excused_by_its_own(
    known: Repertoire, mark: str, level: Level
) -> None:
    known.add(item("file", "sysv shm private"))
    found = novelty.assess(item("file", "sysv shm private", marks=(mark,)), known)
    assert found is not None
    assert found.level is level


CAT, BACKUP = stranger("/usr/bin/cat"), stranger("/usr/bin/rsync")


def outside(kind: str, path: str, role: str, *marks: str, exe: str = "/usr/bin/cat") -> Item:
    return Item(ItemKind(kind), path, role, 0, 99, exe, frozenset({"stranger", *marks}))


def weight(one: Item, known: Repertoire, phase: Phase = Phase.STEADY) -> Level | None:
    found = novelty.assess(one, known, phase)
    return None if found is None else found.level


def test_a_stranger_at_weights_or_shared_memory_is_high_in_every_phase(known: Repertoire) -> None:
    known.add(item("model", MODEL))
    for phase in Phase:
        assert weight(outside("model", MODEL, CAT), known, phase) is Level.HIGH
    assert weight(outside("file", "/dev/shm/psm_ab12cd34", CAT), known) is Level.HIGH


def test_a_stranger_that_was_learnt_is_ordinary_and_no_other_is(known: Repertoire) -> None:
    known.add(outside("model", MODEL, BACKUP))
    assert weight(outside("model", MODEL, BACKUP), known) is None
    assert weight(outside("model", MODEL.replace("v1", "w"), BACKUP), known) is Level.LOW
    assert weight(outside("model", MODEL, BACKUP, "written"), known) is Level.HIGH
    assert weight(outside("model", MODEL, CAT), known) is Level.HIGH


def test_a_stranger_that_was_learnt_is_no_program_of_the_workload(known: Repertoire) -> None:
    known.add(outside("model", MODEL, CAT))
    assert weight(item("exec", "/usr/bin/cat"), known) is Level.CRITICAL


def test_another_watched_server_at_the_same_weights_is_quiet_if_it_is_the_same_program(
    known: Repertoire,
) -> None:
    twin = outside("model", MODEL, stranger(EXE), "watched", exe=EXE)
    other = outside(
        "model", MODEL, stranger("/opt/tritonserver"), "watched", exe="/opt/tritonserver"
    )
    known.add(item("file", MODEL))
    assert weight(twin, known) is Level.LOW
    assert weight(other, known) is Level.MEDIUM


def test_a_learnt_stranger_may_use_shared_memory_under_its_next_random_name(
    known: Repertoire,
) -> None:
    client = stranger("/opt/client")
    known.add(outside("file", "/dev/shm/psm_ab12cd34", client))
    assert weight(outside("file", "/dev/shm/psm_ef56ab78", client), known) is None
