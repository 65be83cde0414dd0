"""What a request is called: its method and its path with what names one thing of many taken out."""

import re
from typing import Final

STREAMS: Final = "HTTP/2 streams"
OTHERS: Final = "other requests"

_VERSION: Final = re.compile(r"v[0-9]{1,2}")
_LONG: Final = 32
_HEX: Final = re.compile(r"(?=[^0-9]*[0-9])[0-9a-fA-F-]{12,}")
_DIGITS: Final = re.compile(r"[0-9]+")
_CALL: Final = re.compile(r"/(?:[A-Za-z_]+\.)+[A-Za-z_]+/[A-Za-z_]+")
"""gRPC's: a service in its package, and a method. Packages are long, and no tokens."""

_SCHEME: Final = re.compile(r"https?://[^/]*", re.IGNORECASE)


def template(path: str) -> str:
    """The path's kind, as probes/messages.bpf.h tells kinds apart.

    >>> template("/v2/models/bert-3/versions/12/infer")
    '/v2/models/bert-<n>/versions/<n>/infer'
    >>> template("/files/0123456789abcdef")
    '/files/<id>'
    >>> template("/org.pytorch.serve.grpc.management.ManagementAPIsService/RegisterModel")
    '/org.pytorch.serve.grpc.management.ManagementAPIsService/RegisterModel'
    """
    if _CALL.fullmatch(path):
        return path
    return "/".join(_part(part) for part in _SCHEME.sub("", path, count=1).split("/"))


def _part(part: str) -> str:
    if _VERSION.fullmatch(part):
        return part
    if len(part) > _LONG or _HEX.fullmatch(part):
        return "<id>"
    return _DIGITS.sub("<n>", part)


def route(method: str, path: str, *, truncated: bool = False) -> str:
    """Method and template, as verdicts write them: ``POST /v1/completions``."""
    if not path:
        return STREAMS
    return f"{method} {template(path)}{'…' if truncated else ''}"
