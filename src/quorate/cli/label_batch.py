"""Files of a batch API, written and read back by `quorate label --batch`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from quorate.cli.terminal import console, plural, print_json, tell
from quorate.errors import SettingError

if TYPE_CHECKING:
    from quorate.llm.calls import Job
    from quorate.llm.journal import Journal
    from quorate.llm.ledger import Ledger
    from quorate.llm.wire import Failure


def write_batch(job: Job, journal: Journal, folder: Path, *, as_json: bool) -> None:
    """Write what is still to be asked into files of a batch API, and name them."""
    from quorate.llm import batch
    from quorate.llm.annotate import requests

    stale = sorted(folder.glob("batch-*.jsonl"))
    for path in stale:
        path.unlink()
    paths = batch.write(requests(job, journal), folder, journal=journal)
    if as_json:
        print_json({"files": [str(path) for path in paths]})
        return
    for path in paths:
        console().print(str(path), markup=False, soft_wrap=True)
    if not paths:
        tell("nothing to ask: the journal knows every answer; run again without --batch")
        return
    tell(f"{plural(len(paths), 'file')} written; put the results into {folder / 'results'}, then --batch read")


def read_batch(job: Job, journal: Journal, ledger: Ledger, folder: Path) -> dict[str, Failure]:
    """Take the results home; what they say of calls that failed, by key. Raises SettingError where there are none."""
    from quorate.llm import batch
    from quorate.llm.annotate import requests

    results = sorted((folder / "results").glob("*.jsonl"))
    if not results:
        raise SettingError(f"no results of a batch in {folder / 'results'}: put the files of the batch API there")
    found = batch.reconcile(requests(job, journal), results, journal=journal, ledger=ledger)
    left = [
        (len(found.missing), "missing"),
        (found.expired, "of these expired"),
        (found.repeated, "repeated"),
        (len(found.unknown), "unknown"),
        (found.unreadable, "unreadable"),
    ]
    tell(f"{plural(len(found.answers), 'answer')} read" + "".join(f", {n:,} {what}" for n, what in left if n))
    return found.failures
