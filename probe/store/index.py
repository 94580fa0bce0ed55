"""The index over prompt folders: one SQLite file that can always be rebuilt from them.

Each operation opens its own connection, so threads and processes share nothing but the file.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from probe.atomic import make_private
from probe.errors import WorkspaceError
from probe.store.card import Card, parse_card
from probe.store.files import unwritable
from probe.store.history import EvaluationRecord, parse_record

Migration = tuple[str, ...]
Entry = tuple[Card, list[EvaluationRecord]]

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
    ("ALTER TABLE prompts ADD COLUMN stamp TEXT NOT NULL DEFAULT ''",),
    (
        "ALTER TABLE prompts ADD COLUMN digest TEXT NOT NULL DEFAULT ''",
        "UPDATE prompts SET stamp = ''",  # every prompt is entered anew, with its digest
        "DROP TABLE tags",
    ),
)
"""Applied in order, each in one transaction with its record. Append; never edit."""

_BUSY_S = 30.0
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_NO_ACCESS = (
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_PERM,
)
_SPARE_BYTES = 1 << 16
"""What SQLite needs beside its file, at least."""
_CUT_SHORT = sqlite3.SQLITE_IOERR_SHORT_READ


class IndexUnusableError(WorkspaceError):
    """The index can be neither read nor written now; the folders it is made from can."""

    def __init__(self, message: str, *, damaged: bool = False) -> None:
        super().__init__(message)
        self.damaged = damaged
        """Whether only making it anew helps."""


class Index:
    """Cards of a workspace, ordered by name and version."""

    def __init__(self, path: Path, migrations: Sequence[Migration] = MIGRATIONS) -> None:
        self.path = path
        self._migrations = migrations

    def entries(self) -> list[Entry]:
        """Every card with its evaluations, by name and version.

        Raises:
            IndexUnusableError: it is damaged or cannot be opened.
        """
        records: dict[str, list[str]] = {}
        with self.writing() as db:
            for id_, text in db.execute("SELECT id, record FROM evaluations ORDER BY id, number"):
                records.setdefault(id_, []).append(text)
            rows = db.execute("SELECT id, card, digest FROM prompts").fetchall()
        found = [self._entry(id_, card, records.get(id_, []), d) for id_, card, d in rows]
        return sorted(found, key=lambda entry: (entry[0].name, entry[0].version))

    def check(self) -> str:
        """`ok`, or what SQLite finds wrong.

        Raises:
            IndexUnusableError: the file is no database.
        """
        with self.writing() as db:
            return str(db.execute("PRAGMA integrity_check(1)").fetchone()[0])

    def _entry(self, id_: str, card: str, records: list[str], digest: str) -> Entry:
        try:
            if digest != _digest(card, records):
                raise WorkspaceError("another sha256")
            return parse_card(card, id_), [parse_record(text, id_) for text in records]
        except WorkspaceError as error:
            raise IndexUnusableError(
                f"{self.path} is damaged (entry {id_}): run `probe doctor --rebuild`", damaged=True
            ) from error

    def delete(self) -> None:
        """Remove the index with its journal, which would otherwise be replayed into the next."""
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self.path}{suffix}").unlink(missing_ok=True)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction that no other process can write beside.

        Raises:
            IndexUnusableError: the index is damaged or cannot be written.
        """
        try:
            self._make()
            with closing(sqlite3.connect(self.path, timeout=_BUSY_S, isolation_level=None)) as db:
                _use_wal(db)
                db.execute("PRAGMA foreign_keys = ON")
                migrate(db, self._migrations)
                with _immediate(db):
                    yield db
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def _make(self) -> None:
        """An empty file for its owner alone: what SQLite lays beside it gets the same mode."""
        try:
            make_private(self.path.parent)
            if not self.path.exists():
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as error:
            raise IndexUnusableError(str(unwritable(self.path.parent, error))) from error

    def _unusable(self, error: sqlite3.Error) -> IndexUnusableError:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        if code & 0xFF in _BUSY:
            return IndexUnusableError(f"{self.path} is in use by another process: try again")
        if code & 0xFF in _NO_ACCESS and code != _CUT_SHORT:
            # SQLite names a full disk now so, now otherwise.
            full = shutil.disk_usage(self.path.parent).free < _SPARE_BYTES
            cause = OSError(errno.ENOSPC if full else errno.EIO, str(error))
            return IndexUnusableError(str(unwritable(self.path, cause)))
        return IndexUnusableError(
            f"{self.path} cannot be used ({error}): run `probe doctor --rebuild`", damaged=True
        )


def stamps(db: sqlite3.Connection) -> dict[str, str]:
    """What the files of every prompt in the index looked like when it was entered."""
    return dict(db.execute("SELECT id, stamp FROM prompts"))


def put(
    db: sqlite3.Connection, card: Card, history: Sequence[EvaluationRecord], stamp: str
) -> None:
    """Enter a prompt in place of what was known of it, with its files' stamp before reading."""
    text, records = json.dumps(card.to_json()), [json.dumps(one.to_json()) for one in history]
    db.execute(
        "INSERT INTO prompts (id, name, version, created, card, stamp, digest)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
        " created = excluded.created, card = excluded.card, stamp = excluded.stamp,"
        " digest = excluded.digest",
        (card.id, card.name, card.version, card.created, text, stamp, _digest(text, records)),
    )
    db.execute("DELETE FROM evaluations WHERE id = ?", (card.id,))
    db.executemany(
        "INSERT INTO evaluations VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (card.id, n, one.recorded, one.task, one.metric, one.value, records[n])
            for n, one in enumerate(history)
        ],
    )


def forget(db: sqlite3.Connection, id_: str) -> None:
    """Drop a prompt's entry with its history."""
    db.execute("DELETE FROM prompts WHERE id = ?", (id_,))


def migrate(db: sqlite3.Connection, migrations: Sequence[Migration]) -> None:
    """Apply the migrations the database lacks.

    Raises:
        IndexUnusableError: the database is newer than this program.
    """
    done = _applied(db)
    if done > len(migrations):
        raise IndexUnusableError(
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


def _digest(card: str, records: Sequence[str]) -> str:
    """SQLite itself does not notice a flipped bit in a text."""
    return hashlib.sha256("\n".join([card, *records]).encode()).hexdigest()


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
