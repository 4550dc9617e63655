"""What one annotation costs in Label Studio: the time of each request of a person who annotates, one after the other.

    python benchmarks/label_studio.py [--url URL --token TOKEN] [--annotations 100] [--people 1]

Without --url a Label Studio is started here, with SQLite, in an empty folder (`make label-studio` installs it;
QUORATE_LABEL_STUDIO names another environment). A person asks for the next task and posts an annotation of two
controls; told are both and their sum. `time_annotations` is what the load benchmark of our own service calls.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np

CONFIG = """<View><Text name="text" value="$text"/>
  <Choices name="tone" toName="text"><Choice value="good"/><Choice value="bad"/></Choices>
  <Rating name="fun" toName="text" maxRating="5"/></View>"""
RESULT = [
    {"from_name": "tone", "to_name": "text", "type": "choices", "value": {"choices": ["good"]}},
    {"from_name": "fun", "to_name": "text", "type": "rating", "value": {"rating": 3}},
]
WARM = 5  # first requests, not counted


class Times(NamedTuple):
    """Seconds of every annotation, by request, and of the whole."""

    next_s: np.ndarray
    submit_s: np.ndarray
    wall_s: float

    def line(self) -> str:
        """The figures, for people to read."""
        both = 1000 * (self.next_s + self.submit_s)
        p50, p99 = np.quantile(both, [0.5, 0.99])
        rate = len(both) / self.wall_s
        submit = 1000 * np.median(self.submit_s)
        return f"{rate:.1f} annotations a second; one: median {p50:.0f} ms (submit {submit:.0f} ms), p99 {p99:.0f} ms"


def main() -> None:
    """Start it, or find it, and time it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url")
    parser.add_argument("--token")
    parser.add_argument("--annotations", type=int, default=100)
    parser.add_argument("--people", type=int, default=1, help="that annotate at the same time")
    options = parser.parse_args()
    if options.url:
        print(time_annotations(options.url, options.token, options.annotations, options.people).line())
        return
    with started() as (url, token):
        print(time_annotations(url, token, options.annotations, options.people).line())


@contextmanager
def started() -> Iterator[tuple[str, str]]:
    """The address and token of a Label Studio that is started here."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
    from label_studio_peer import installed, label_studio

    program = installed()
    if program is None:
        sys.exit("Label Studio is not installed: make label-studio")
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder, label_studio(program, Path(folder)) as peer:
        yield peer.url, peer.token


def time_annotations(url: str, token: str, count: int = 100, people: int = 1) -> Times:
    """So many annotations by so many people at once, in a new project; each asks for the next task, and answers."""
    headers = {"Authorization": f"Token {token}", "Content-Type": "application/json"}

    def ask(method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url.rstrip("/") + path, data, headers, method=method)  # noqa: S310
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
            return json.loads(answer.read())

    project = ask("POST", "/api/projects/", {"title": "benchmark", "label_config": CONFIG})["id"]
    tasks = [{"data": {"text": f"Sentence {n}"}} for n in range(count + WARM)]
    ask("POST", f"/api/projects/{project}/import", tasks)
    turns, taken, lock = iter(range(count + WARM)), list[tuple[float, float]](), threading.Lock()

    def person() -> None:
        while True:
            with lock:
                if next(turns, None) is None:
                    return
            began = time.perf_counter()
            task = ask("GET", f"/api/projects/{project}/next")["id"]
            asked = time.perf_counter()
            ask("POST", f"/api/tasks/{task}/annotations/", {"result": RESULT, "lead_time": 1.0})
            with lock:
                taken.append((asked - began, time.perf_counter() - asked))

    began = time.perf_counter()
    threads = [threading.Thread(target=person) for _ in range(people)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall = time.perf_counter() - began
    times = np.array(taken[WARM:])
    return Times(times[:, 0], times[:, 1], wall * count / (count + WARM))


if __name__ == "__main__":
    main()
