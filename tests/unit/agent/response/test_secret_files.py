from pathlib import Path

from agent.response.secret_files import secret_files


def test_places_of_the_host_and_of_every_home_are_named(tmp_path: Path) -> None:
    (tmp_path / "etc/ssh").mkdir(parents=True)
    (tmp_path / "etc/ssh/ssh_host_rsa_key").touch()
    (tmp_path / "etc/ssh/ssh_host_rsa_key.pub").touch()
    found = list(secret_files([Path("/home/b"), Path("/root"), Path("/root")], tmp_path))
    assert f"{tmp_path}/etc/shadow" in found
    assert f"{tmp_path}/etc/ssh/ssh_host_rsa_key" in found
    assert f"{tmp_path}/etc/ssh/ssh_host_rsa_key.pub" not in found
    assert {"/home/b/.ssh", "/root/.aws"} <= set(found)
    assert len(found) == len(set(found))
