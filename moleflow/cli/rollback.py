"""`moleflow rollback`: a product as it was at a commit, its line, images and artifacts, while the others stay."""

import argparse
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError

from moleflow.cli.change import ChangeError, all_or_nothing, product_digests, proof
from moleflow.cli.check import index_of
from moleflow.cli.plan import refresh_check
from moleflow.config.errors import MoleflowError
from moleflow.config.params import read_params
from moleflow.config.products import ProductClass
from moleflow.files.committed import committed, lock_stages
from moleflow.files.order import PER_PRODUCT
from moleflow.files.params_file import put_product, set_recalibration
from moleflow.files.paths import Paths
from moleflow.images.index_table import read_index
from moleflow.revisions import RevisionError, fetch

CODE = ("moleflow/", "stages/")
SHOWN = 10  # images that are named
STILL = "Inspector.load(rev={rev!r}) and `moleflow predict --rev {rev}` still judge with the old model"


class RollbackError(MoleflowError):
    """A product cannot be as it was."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what the command takes.

    Args:
        parser: the command's own.
    """
    parser.add_argument("name", help="of the product")
    parser.add_argument("rev", help="a commit, branch or tag")


def run(arguments: argparse.Namespace) -> None:
    """Rolls the product back; if anything fails, all is as before.

    Args:
        arguments: name and rev.

    Raises:
        RollbackError: there is no such product or commit, or code, base, parameters or images are others today.
        ChangeError: `dvc repro` failed.
    """
    paths, name, rev = Paths(Path()), arguments.name, arguments.rev
    then, lock = committed(paths.root, rev, paths.params.name), lock_stages(paths.root, rev)
    if name not in then["classes"]:
        raise RollbackError(f"{rev} lists no product {name}, only {', '.join(then['classes'])}")
    line = _line(name, rev, then["classes"][name])
    learned = "base" if line.task == then["first_task"] else f"train@{line.task}"
    stages = [*(f"{kind}@{name}" for kind in PER_PRODUCT), learned]
    missing = [stage for stage in stages if stage not in lock]
    if missing:
        raise RollbackError(f"dvc.lock of {rev} lacks {', '.join(missing)}: {name} was not learned there")
    entries = {stage: lock[stage] for stage in stages}
    print(f"{name} at {rev}: {dict(then['classes'][name])}")
    _require_same(paths, {dep["path"]: dep["md5"] for entry in entries.values() for dep in entry["deps"]}, rev)
    before = product_digests(paths)
    with all_or_nothing(paths) as change, ExitStack() as stack:
        put_product(name, line, paths.params)
        set_recalibration(name, then.get("recalibrations", {}).get(name), paths.params)
        refresh_check(paths)
        _require_parameters(paths, entries, rev)
        stack.enter_context(_images_restored(paths, name, line, rev))
        change.repro()
        after = product_digests(paths)
        wanted = {out["path"]: out["md5"] for entry in entries.values() for out in entry["outs"]}
        other = [path for path, md5 in wanted.items() if after.get(path) != md5]
        if other:
            raise ChangeError(f"not as at {rev}: {', '.join(other)}; {STILL.format(rev=rev)}")
    others = {path: md5 for path, md5 in before.items() if path not in wanted}
    print(f"\n{name} is as at {rev}: {len(wanted)} artifacts have its digests\n{proof(others, after)}")


def _line(name: str, rev: str, content: Any) -> ProductClass:
    try:
        return ProductClass(**content)
    except ValidationError as error:
        raise RollbackError(f"{rev} lists {name} in a way that is not understood any more: {content}") from error


def _files(table: pd.DataFrame) -> dict[str, str]:
    """Digests of images and masks, by path."""
    files = dict(zip(table["path"], table["digest"], strict=True))
    return files | {mask: each for mask, each in zip(table["mask"], table["mask_digest"], strict=True) if mask}


def _require_same(paths: Paths, deps: dict[str, str], rev: str) -> None:
    """Refuses other code and another base than today's dvc.lock knows."""
    entries = lock_stages(paths.root).values()
    today = {each["path"]: each["md5"] for entry in entries for each in entry.get("deps", [])}
    shared = {path: md5 for path, md5 in deps.items() if path.startswith(CODE) or path == paths.base.as_posix()}
    other = [path for path, md5 in shared.items() if today.get(path) != md5]
    if other:
        raise RollbackError(f"other code or another base today: {', '.join(other)}; {STILL.format(rev=rev)}")


def _require_parameters(paths: Paths, entries: dict[str, Any], rev: str) -> None:
    """Refuses other parameters than those of the product's stages at the commit."""
    deps = {dep["path"]: dep["md5"] for entry in entries.values() for dep in entry["deps"]}
    checked = {path: md5 for path, md5 in deps.items() if Path(path).is_relative_to(paths.check)}
    other = [path for path, md5 in checked.items() if hashlib.md5(Path(path).read_bytes()).hexdigest() != md5]
    if other:
        raise RollbackError(
            f"other parameters today: `git diff {rev} -- {paths.params} {paths.regions.path} {paths.feedback}`, "
            f"{', '.join(other)}; {STILL.format(rev=rev)}"
        )


@contextmanager
def _images_restored(paths: Paths, name: str, line: ProductClass, rev: str) -> Iterator[None]:
    """Fetches images that Git or DVC holds; refuses others that are not as the commit's index lists them.

    What lies there is set aside, and comes back if something fails.
    """
    with fetch(paths.root, rev, [paths.index.of(name)]) as there:
        then = _files(read_index(Path(there) / paths.index.of(name)))
    try:
        own = read_params(paths.params) | line.overrides
        now = _files(index_of(paths, line, own, paths.feedback / name).table)
    except MoleflowError:  # what it held can still be fetched
        now = {}
    other = sorted(file for file in then.keys() | now.keys() if then.get(file) != now.get(file))
    if not other:
        yield
        return
    folder = Path(line.path)
    aside = folder.with_name(f"{folder.name}.before-rollback")
    try:
        if folder.is_absolute():
            raise RevisionError("outside the repository")
        fetched = fetch(paths.root, rev, [folder])
    except RevisionError as error:
        shown = ", ".join(other[:SHOWN]) + (f" and {len(other) - SHOWN} more" if len(other) > SHOWN else "")
        raise RollbackError(
            f"images are not as at {rev}, and neither Git nor DVC holds what lay in {folder}; "
            f"other, new or missing are {shown}"
        ) from error
    if aside.exists():
        raise RollbackError(f"{aside} is in the way; move it elsewhere")
    with fetched as there:
        if folder.exists():
            os.rename(folder, aside)
        try:
            shutil.copytree(Path(there) / folder, folder)
            yield
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            if aside.exists():
                os.rename(aside, folder)
            raise
    print(f"the images that lay in {folder} are in {aside} now")
