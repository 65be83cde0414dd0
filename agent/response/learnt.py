"""What a baseline knows, as the kernel can look it up in the middle of a call. Pure.

Wider than the baseline in three places, each said where it is: what is only told there must not
be denied here, and what was learnt must go on.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

from detectors.attempts import is_attempt
from detectors.generalise import EPHEMERAL_PORT_FIRST, address_class, split_endpoint
from detectors.repertoire import Repertoire
from detectors.sensitive import sensitivity
from detectors.window import Item, ItemKind, is_stranger
from probes.reflex import Grant, of_peer, of_port

_PROTOCOLS: Final = {"tcp": 6, "udp": 17}
_OPENED: Final = (ItemKind.FILE, ItemKind.WRITE, ItemKind.LIBRARY, ItemKind.MODEL)
_CHANGING: Final = "<"  # detectors.generalise writes what changes from run to run so
_WHOLE: Final = "**"
_EPHEMERAL: Final = ":<ephemeral>"


@dataclass(frozen=True, slots=True)
class Learnt:
    """Of one workload.

    Attributes:
        programs: Paths, as its processes name them.
        names: Of programs that lie in directories whose names change, and have no other path.
        secrets: Paths of files that are dangerous by themselves, or lie where secrets do.
        peers: Grants.
    """

    programs: frozenset[str]
    names: frozenset[str]
    secrets: frozenset[str]
    peers: frozenset[Grant]


def learnt(known: Repertoire, places: Iterable[str]) -> Learnt:
    """Return what a workload may do by its baseline.

    Args:
        known: Of its baseline.
        places: Where this host keeps secrets; a directory stands for all below it.
    """
    executed = {text for _, text in _keys(known, (ItemKind.EXEC,))}
    executed |= {path for path in known.programs if path.startswith("/")}
    changing = {path for path in executed if _CHANGING in path or not path.startswith("/")}
    secret = tuple(places)
    return Learnt(
        programs=frozenset(executed - changing),
        names=frozenset(PurePath(path).name for path in changing),
        secrets=frozenset(
            path
            for kind, path in _keys(known, _OPENED)
            if path.startswith("/")
            and not path.startswith("/proc/")
            and _WHOLE not in path
            and _is_secret(kind, path, secret)
        ),
        peers=frozenset(_peers(known)),
    )


def _is_secret(kind: ItemKind, path: str, places: tuple[str, ...]) -> bool:
    if any(path == place or path.startswith(f"{place}/") for place in places):
        return True
    return sensitivity(Item(kind, path, "main", 0, 0)) is not None


def _keys(known: Repertoire, kinds: Iterable[ItemKind]) -> Iterator[tuple[ItemKind, str]]:
    """Yield the paths of the workload's own roles, whichever: a role is not told in the kernel."""
    for role, by_kind in known.keys.items():
        if is_stranger(role):
            continue
        for kind in kinds:
            for key in by_kind.get(kind, ()):
                text, bracket, marks = key.rpartition(" [")
                if not bracket or not key.endswith("]"):
                    yield kind, key
                elif not is_attempt(marks[:-1].split(",")):  # asked for, and never had
                    yield kind, text


def _peers(known: Repertoire) -> Iterator[Grant]:
    """Yield addresses with their ports.

    Any ephemeral port where one was learnt; every public address on a port that was.
    """
    families = [
        family.removesuffix(_EPHEMERAL)
        for opened in known.open_folders.values()
        for family in opened
        if family.endswith(_EPHEMERAL)
    ]
    for text in families:
        protocol, address, _ = split_endpoint(text)
        yield from _granted(protocol, address, 0)
    for _, text in _keys(known, (ItemKind.PEER,)):
        protocol, address, port = split_endpoint(text)
        if port is not None:
            yield from _granted(protocol, address, port)
            if port >= EPHEMERAL_PORT_FIRST and address_class(address) != "public":
                yield from _granted(protocol, address, 0)


def _granted(protocol: str, address: str, port: int) -> Iterator[Grant]:
    number = _PROTOCOLS.get(protocol)
    if number is None:  # accepted, refused, local, or a question for a name
        return
    try:
        yield of_peer(number, address.partition("%")[0], port)
    except ValueError:
        return
    if port and address_class(address) == "public":
        yield of_port(number, port)
