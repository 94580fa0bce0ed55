"""The index over prompt folders: one SQLite file that can always be rebuilt from them.

Each operation opens its own connection, so threads and processes share nothing but the file.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from probe.errors import WorkspaceError
from probe.store.card import Card, parse_card
from probe.store.files import file_stamp

Migration = tuple[str, ...]

MIGRATIONS: tuple[Migration, ...] = (
    (
        "CREATE TABLE prompts (id TEXT PRIMARY KEY, name TEXT NOT NULL, version INTEGER NOT NULL,"
        " created TEXT NOT NULL, card TEXT NOT NULL) STRICT",
        "CREATE INDEX prompts_by_name ON prompts (name, version)",
        "CREATE TABLE tags (id TEXT NOT NULL REFERENCES prompts (id) ON DELETE CASCADE,"
        " tag TEXT NOT NULL, PRIMARY KEY (id, tag)) STRICT, WITHOUT ROWID",
    ),
    (
        "CREATE TABLE evaluations (id TEXT NOT NULL REFERENCES prompts (id) ON DELETE CASCADE,"
        " number INTEGER NOT NULL, recorded TEXT NOT NULL, task TEXT NOT NULL,"
        " metric TEXT NOT NULL, value REAL NOT NULL, record TEXT NOT NULL,"
        " PRIMARY KEY (id, number)) STRICT, WITHOUT ROWID",
    ),
)
"""Applied in order, each in one transaction with its record. Append; never edit."""

_BUSY_S = 30.0


class Index:
    """Cards of a workspace, ordered by name and version."""

    def __init__(self, path: Path, migrations: Sequence[Migration] = MIGRATIONS) -> None:
        self.path = path
        self._migrations = migrations

    def cards(self, tag: str | None = None) -> list[Card]:
        """Every card, or those that carry a tag.

        Raises:
            WorkspaceError: the index is damaged.
        """
        tagged = "" if tag is None else "WHERE id IN (SELECT id FROM tags WHERE tag = :tag)"
        query = f"SELECT id, card FROM prompts {tagged} ORDER BY name, version"
        with self.writing() as db:
            rows = db.execute(query, {} if tag is None else {"tag": tag}).fetchall()
        return [parse_card(text, f"{self.path} entry {id_}") for id_, text in rows]

    def stamp(self) -> tuple[int, ...]:
        """What differs after any change of the index; it is not opened."""
        return file_stamp(self.path, Path(f"{self.path}-wal"))

    def check(self) -> str:
        """`ok`, or what SQLite finds wrong.

        Raises:
            WorkspaceError: the file is no database.
        """
        with self.writing() as db:
            return str(db.execute("PRAGMA integrity_check(1)").fetchone()[0])

    def delete(self) -> None:
        """Remove the index with its journal, which would otherwise be replayed into the next."""
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self.path}{suffix}").unlink(missing_ok=True)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction that no other process can write beside.

        Raises:
            WorkspaceError: the index is damaged or cannot be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.path, timeout=_BUSY_S, isolation_level=None)) as db:
                _use_wal(db)
                db.execute("PRAGMA foreign_keys = ON")
                migrate(db, self._migrations)
                with _immediate(db):
                    yield db
        except sqlite3.Error as error:
            raise WorkspaceError(
                f"{self.path} cannot be used ({error}): run `probe doctor --rebuild`"
            ) from error
        except OSError as error:
            raise WorkspaceError(
                f"{self.path.parent} cannot be written ({error.strerror or error}): "
                "set PROBE_HOME to a folder of yours"
            ) from error


def ids(db: sqlite3.Connection) -> set[str]:
    """Every prompt in the index."""
    return {row[0] for row in db.execute("SELECT id FROM prompts")}


def put(db: sqlite3.Connection, card: Card) -> None:
    """Record a card in place of an older one; the history of evaluations stays."""
    db.execute(
        "INSERT INTO prompts VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET created = excluded.created, card = excluded.card",
        (card.id, card.name, card.version, card.created, json.dumps(card.to_json())),
    )
    db.execute("DELETE FROM tags WHERE id = ?", (card.id,))
    db.executemany("INSERT INTO tags VALUES (?, ?)", [(card.id, tag) for tag in card.tags])


def forget(db: sqlite3.Connection, id_: str) -> None:
    """Drop a prompt's entry with its tags and its history."""
    db.execute("DELETE FROM prompts WHERE id = ?", (id_,))


def migrate(db: sqlite3.Connection, migrations: Sequence[Migration]) -> None:
    """Apply the migrations the database lacks.

    Raises:
        WorkspaceError: the database is newer than this program.
    """
    done = _applied(db)
    if done > len(migrations):
        raise WorkspaceError(
            f"the workspace index has schema {done}, this probe knows {len(migrations)}: "
            "upgrade soft-prompt-probe"
        )
    for number in range(done + 1, len(migrations) + 1):
        with _immediate(db):
            if _applied(db) >= number:
                continue  # another process was faster
            for statement in migrations[number - 1]:
                db.execute(statement)
            db.execute(
                "CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY,"
                " applied TEXT NOT NULL) STRICT"
            )
            db.execute("INSERT INTO migrations VALUES (?, datetime('now'))", (number,))


def _applied(db: sqlite3.Connection) -> int:
    recorded = "SELECT count(*) FROM sqlite_master WHERE name = 'migrations'"
    if not db.execute(recorded).fetchone()[0]:
        return 0
    return int(db.execute("SELECT coalesce(max(number), 0) FROM migrations").fetchone()[0])


@contextmanager
def _immediate(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def _use_wal(db: sqlite3.Connection) -> None:
    """Let readers go on while one process writes; the mode is kept in the file."""
    if db.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
        return
    # SQLite does not wait for the lock this change needs: another process may be making it.
    with suppress(sqlite3.OperationalError):
        db.execute("PRAGMA journal_mode = WAL")
