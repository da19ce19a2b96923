"""Limits of a server, all in one place."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """How much a server takes on.

    `body_bytes`: of a request. `seconds`: in which a request must have come, and in which it must be answered.
    `connections`: that are open at once. `searches`, `heavy`, `writes`: that may wait for their turn: questions to
    search for, requests for embeddings or duplicates, questions to add or remove. `searches_at_once`, `writes_at_once`:
    that are done together. `write_pause`: seconds in which writes gather, which are then flushed to the disk together.
    `switch_seconds`: after which a thread that computes lets the others have the interpreter, so that answers need not
    wait for long ones.
    """

    body_bytes: int = 8 << 20
    seconds: float = 20.0
    connections: int = 1_000
    searches: int = 256
    heavy: int = 16
    writes: int = 8_192
    searches_at_once: int = 32
    writes_at_once: int = 4_096
    write_pause: float = 0.01
    switch_seconds: float = 0.0005
