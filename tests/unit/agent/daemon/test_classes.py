"""What a file is: by the rules for secrets and weights, else as the kernel guesses."""

import pytest

from agent.daemon.classes import class_of, is_private


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/srv/models/m/model.safetensors", "FILE_WEIGHTS"),
        ("/root/.cache/huggingface/hub/models--a--b/blobs/" + 64 * "a", "FILE_WEIGHTS"),
        ("/usr/share/ollama/.ollama/models/blobs/sha256-" + 64 * "b", "FILE_WEIGHTS"),
        ("/srv/demo/weights", "FILE_WEIGHTS"),
        ("/srv/venv/lib/python3.11/site-packages/x/data.npy", "FILE_OTHER"),
        ("/etc/udev/hwdb.bin", "FILE_OTHER"),
        ("/root/.ssh/config", "FILE_SECRET"),
        ("/srv/app/.env", "FILE_SECRET"),
        ("/srv/venv/lib/python3.11/site-packages/certifi/cacert.pem", "FILE_OTHER"),
        ("/usr/lib/x86_64-linux-gnu/libgomp.so.1.0.0", "FILE_CODE"),
        ("/srv/app/main.py", None),
        ("/tmp/x", None),
    ],
)
def test_a_file_has_the_class_of_its_name_and_place(path: str, found: str | None) -> None:
    assert class_of(path) == found


def test_weights_and_shared_memory_are_private() -> None:
    assert is_private("/srv/models/m/model.gguf")
    assert is_private("/dev/shm/psm_1")
    assert not is_private("/srv/models/m/config.json")
    assert not is_private("/etc/udev/hwdb.bin")
    assert is_private("/dev/nvidia0")
    assert is_private("/dev/nvidia-uvm")
    assert not is_private("/dev/nvidiactl")
