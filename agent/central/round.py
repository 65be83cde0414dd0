"""One round of messages: what to store of them, and what to answer once it is stored."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.central.door import Letter
from agent.central.intake import Told, read
from agent.central.sequences import Sequences
from agent.log import log
from agent.ship.wire import PeerError, unpack

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What `peer` is told, after the store has committed."""

    peer: bytes
    kind: str
    facts: Mapping[str, object]


@dataclass(slots=True)
class Round:
    """Collects messages.

    Attributes:
        sequences: What number each host has come to; moved on by `add`.
        now_ns: Unix time that the messages count as received at.
        told: Events and hosts already logged: one line of each kind a host, the rest is counts.
    """

    sequences: Sequences
    now_ns: int
    told: set[tuple[str, str]]
    verdicts: list[Row] = field(default_factory=list)
    gaps: list[Row] = field(default_factory=list)
    heartbeats: list[Row] = field(default_factory=list)
    hosts: dict[tuple[str, str], Row] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)
    repeated: int = 0
    refused: int = 0
    garbage: int = 0

    def add(self, letter: Letter) -> None:
        """Take one message; what is none of ours is counted and told of once a host."""
        if letter.host is None:
            self._refuse(letter, "this key is no longer allowed")
            return
        try:
            told = read(unpack(letter.body))
        except PeerError as error:
            self.garbage += 1
            self._tell("central.garbage", letter.host, error=str(error))
            return
        if told.host != letter.host:
            self._refuse(letter, f"this key is the host {letter.host}'s, not {told.host}'s")
            return
        self._accept(letter, told)

    def _tell(self, event: str, host: str, **facts: object) -> None:
        if (event, host) not in self.told:
            self.told.add((event, host))
            log.warning(event, host=host, **facts)

    def _refuse(self, letter: Letter, reason: str) -> None:
        self.refused += 1
        self._tell("central.host_refused", letter.address, reason=reason)
        self.answers.append(Answer(letter.peer, "refused", {"reason": reason[:300]}))

    def _accept(self, letter: Letter, told: Told) -> None:
        placed = self.sequences.place(told)
        life = {"host": told.host, "epoch": told.epoch}
        received = {"received_ns": self.now_ns}
        for verdict in placed.fresh:
            self.verdicts.append(
                {**verdict.columns, **life, **received, "sequence": verdict.sequence}
            )
        for gap in placed.gaps:
            facts = {"first": gap.first, "last": gap.last, "reason": gap.reason}
            self.gaps.append({**life, **received, **facts})
            self._tell("central.gap", told.host, **facts)
        if told.summary is not None:
            self.heartbeats.append({"host": told.host, **received, "summary": told.summary})
        self.hosts[told.host, told.epoch] = {
            **life,
            **received,
            "sequence": self.sequences.marks[told.host, told.epoch],
            "public_key": letter.public_key,
            "address": letter.address,
            "dropped": told.dropped,
        }
        self.repeated += placed.repeated
        self.refused += len(told.refused)
        facts_back = {"epoch": told.epoch, "sequence": told.last, "refused": len(told.refused)}
        self.answers.append(Answer(letter.peer, "ack", facts_back))
