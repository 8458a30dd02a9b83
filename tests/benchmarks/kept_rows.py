"""Rows of a table that take minutes each: kept in a folder until the code or what was asked changes."""

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def code_of(*folders: Path) -> str:
    """Digest of the code that a row comes from."""
    files = sorted(path for folder in folders for path in folder.rglob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def kept_or_measured(folder: Path, name: str, asked: list[Any], measure: Callable[[], Row]) -> Row:
    """A row; of one that fails only the reason, so that the others go on."""
    key = hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()[:16]
    kept = folder / f"{key}.json"
    if kept.is_file():
        return json.loads(kept.read_text())
    print(f"{name}: running", file=sys.stderr)
    try:
        row = measure()
    except Exception as error:  # the other rows are still wanted
        print(f"{name}: failed: {error!r}", file=sys.stderr)
        return {"failed": f"{type(error).__name__}: {error}"}
    kept.write_text(json.dumps(row))
    return row


def changed(changes: Row) -> str:
    """What a row changes, for a cell."""
    return " ".join(f"`{key}={json.dumps(value)}`" for key, value in changes.items())


def exit_by(rows: dict[str, Row]) -> None:
    """Ends with an error if rows failed; names them."""
    failed = [name for name, row in rows.items() if "failed" in row]
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")
