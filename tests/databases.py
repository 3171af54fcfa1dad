"""Databases behind MLflow: a fresh one per test, SQLite always, PostgreSQL where a server is named.

``make test-postgres`` starts a server and names it in ``AIMS_TEST_POSTGRES_URI``.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

KINDS = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]
"""Parameters of a fixture that is to run on both."""


@contextmanager
def postgres_databases(count: int = 1) -> Iterator[list[str]]:
    """URIs of new, empty databases, dropped at the end."""
    base = os.environ.get("AIMS_TEST_POSTGRES_URI", "")
    if not base:
        pytest.skip("AIMS_TEST_POSTGRES_URI is not set")
    import sqlalchemy

    names = [f"aims_{uuid.uuid4().hex[:12]}" for _ in range(count)]
    server = sqlalchemy.create_engine(base, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        for name in names:
            connection.execute(sqlalchemy.text(f"CREATE DATABASE {name}"))
    try:
        yield [sqlalchemy.make_url(base).set(database=name).render_as_string(hide_password=False) for name in names]
    finally:
        with server.connect() as connection:
            for name in names:
                connection.execute(sqlalchemy.text(f"DROP DATABASE {name} WITH (FORCE)"))
        server.dispose()
