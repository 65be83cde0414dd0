import ast
import pickletools
from pathlib import Path

import pytest

from tests.servers.attack import DECOYS, SCRIPTS, Attack, AttackError, plant

SECRET = Path("/tmp/home/.aws/credentials")


@pytest.mark.parametrize("shell", sorted(SCRIPTS))
@pytest.mark.parametrize("orphan", [False, True])
def test_payload_is_python_that_names_exactly_the_details_asked_for(
    shell: str, *, orphan: bool
) -> None:
    attack = Attack(SECRET, 4711, f"/opt/{shell}", orphan)
    texts = [
        node.value for node in ast.walk(ast.parse(attack.code())) if isinstance(node, ast.Constant)
    ]
    assert {str(SECRET), "127.0.0.1", 4711, f"/opt/{shell}"} <= set(texts)


def test_payload_connects_to_loopback_and_nowhere_else() -> None:
    assert Attack(SECRET, 9).code().count("create_connection(('127.0.0.1', 9)") == 1


def test_pickle_runs_the_code_through_exec_when_loaded() -> None:
    names = [
        argument
        for opcode, argument, _ in pickletools.genops(Attack(SECRET, 4711).pickled())
        if opcode.name == "SHORT_BINUNICODE"
    ]
    assert names[:2] == ["builtins", "exec"]


def test_a_shell_without_a_script_is_refused_with_those_that_have_one() -> None:
    with pytest.raises(AttackError, match="only for sh, bash"):
        Attack(SECRET, 4711, "/usr/bin/zsh").command()


@pytest.mark.parametrize("kind", sorted(DECOYS))
def test_decoys_lie_under_the_home_and_only_the_owner_reads_them(tmp_path: Path, kind: str) -> None:
    path = plant(tmp_path, kind)
    assert path.is_relative_to(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["../outside", "/etc/shadow", "a/../../b"])
def test_a_decoy_outside_the_home_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(AttackError):
        plant(tmp_path, name)
