"""The keys the gate signs with: a server's own, made on first use; elsewhere that of the process."""

from __future__ import annotations

import os
from pathlib import Path

from aims_mlflow.errors import InputError
from aims_mlflow.gate.entries import Level
from aims_mlflow.gate.signing import SigningKey, own_key, read_key, write_key
from aims_mlflow.registry.anchors import state_directory

VARIABLE = "AIMS_GATE_KEY"
"""Path of the server's private key."""


def gate_key(level: Level = Level.ENFORCED) -> SigningKey | None:
    """The key the log is signed with.

    Args:
        level: ``enforced`` for a server, whose key is made where there is none; any other takes ``AIMS_SIGNING_KEY``,
            and None where it is unset.

    Raises:
        InputError: the key cannot be read or made.
    """
    return server_key() if level is Level.ENFORCED else own_key()


def server_key() -> SigningKey:
    """The server's key: ``AIMS_GATE_KEY``, by default ``gate.key`` in the user's folder for state.

    Raises:
        InputError: it cannot be read or made.
    """
    named = os.environ.get(VARIABLE, "").strip()
    path = Path(named).expanduser() if named else state_directory() / "gate.key"
    if path.exists():
        return read_key(path)
    try:
        return write_key(path)
    except InputError:
        if path.exists():  # another worker made it
            return read_key(path)
        raise
