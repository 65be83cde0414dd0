"""Questions to central from the same machine, over a socket that only its own user can open.

One JSON document each way: {"question": "hosts", ...arguments} is answered by
{"answer": ...} or {"error": "words"}.
"""

import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from agent.central.errors import CentralNotRunningError, QuestionError

TIMEOUT_S: Final = 30.0
ANSWER_BYTES: Final = 256 << 20


def ask(path: Path, question: str, arguments: Mapping[str, object]) -> Any:  # noqa: ANN401
    """Put `question` to the central whose socket is at `path`, and return its answer.

    Args:
        path: `<run>/central.sock`.
        question: "hosts", "verdicts" or "status".
        arguments: For "verdicts": since_ns, host, workload, min_level, id_prefix, limit.

    Raises:
        CentralNotRunningError: Nobody answers there.
        QuestionError: Central does not know the question, or its store failed.
    """
    import zmq

    _check_listening(path)
    context = zmq.Context()
    request = context.socket(zmq.REQ)
    try:
        request.setsockopt(zmq.LINGER, 0)
        request.setsockopt(zmq.MAXMSGSIZE, ANSWER_BYTES)
        request.connect(f"ipc://{path}")
        request.send(json.dumps({"question": question, **arguments}).encode())
        if not request.poll(int(TIMEOUT_S * 1000)):
            raise CentralNotRunningError(path)
        answer = json.loads(request.recv())
    finally:
        request.close(0)
        context.term()
    if "error" in answer:
        raise QuestionError(answer["error"])
    return answer["answer"]


def _check_listening(path: Path) -> None:
    # ZeroMQ would wait for a socket to appear; a plain connect says at once that nobody is there.
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(path))
    except OSError as error:
        raise CentralNotRunningError(path) from error
