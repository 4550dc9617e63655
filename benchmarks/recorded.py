"""Recorded labelings: every estimator on every folder by the protocol, against the bars.

    python benchmarks/recorded.py [--data FOLDER] [--out build/recorded] [--estimators dawid-skene,hybrid] [--only a,b]

One JSON file per data set lies in --out, with what made it: the estimators asked for and a digest of the source. A file
made by the same is kept, so that a run that was cut off goes on; any other is made anew. Two runs at a time need two
folders. Returns 1 where a bar is missed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import quorate
from quorate.errors import DataError
from quorate.evaluate.compare import compare

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
JUDGED = "hybrid"
RIVALS = ("majority", "dawid-skene")  # never better than the hybrid beyond twice the standard error


class Bar(NamedTuple):
    """What the hybrid must reach: hidden-label log loss in nats, at most; AUC per task, at least."""

    all_others: float
    evidence_only: float
    auc: float | None = None


BARS = {
    "alttest_cebab": Bar(0.502, 0.565, 0.981),
    "alttest_lgbteen": Bar(0.637, 0.722, 0.945),
    "alttest_lesion": Bar(0.669, 0.795, 0.949),
    "llm_rubric": Bar(0.950, 1.086, 0.889),
    "hanna": Bar(1.357, 1.429, 0.828),
    "alttest_10k_prompts": Bar(1.151, 1.165, 0.878),
    "latent_content": Bar(1.137, 1.159, 0.924),
    "popquorn_politeness": Bar(1.196, 1.206),
}


class Check(NamedTuple):
    """One figure against its bar; margin > 0: reached."""

    what: str
    value: float
    bar: float
    margin: float


def main() -> int:
    """Run what is missing, print the table, return 1 where a bar is missed."""
    options = parsed()
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    names = options.only.split(",") if options.only else sorted(path.name for path in Path(options.data).glob("*/"))
    found = {name: figures_of(Path(options.data) / name, out, options.estimators.split(",")) for name in names}
    missed = sum(show(name, figures) for name, figures in found.items() if figures["estimators"])
    (out / "all.json").write_text(json.dumps(found, indent=2) + "\n")
    print(f"\n{missed} bars missed on {len(found)} data sets")
    return 1 if missed else 0


def figures_of(folder: Path, out: Path, estimators: list[str]) -> dict[str, Any]:
    """Kept from an earlier run of the same estimators and source, or run now."""
    path, made_by = out / f"{folder.name}.json", {"estimators": estimators, "source": source_digest()}
    kept = json.loads(path.read_text()) if path.exists() else {}
    if kept.get("made_by") == made_by:
        print(f"{folder.name}: kept", file=sys.stderr, flush=True)
        return kept
    began = time.perf_counter()
    try:
        figures = compare(folder, estimators).figures()
    except DataError as error:
        figures = {"estimators": {}, "notes": [str(error)]}
    figures |= {"seconds": round(time.perf_counter() - began, 1), "made_by": made_by}
    path.write_text(json.dumps(figures, indent=2) + "\n")
    print(f"{folder.name}: {figures['seconds']} s", file=sys.stderr, flush=True)
    return figures


@cache
def source_digest() -> str:
    """Of every module of the library: figures of another source are no figures of this one."""
    digest = hashlib.sha256()
    for path in sorted(Path(quorate.__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def show(name: str, figures: dict[str, Any]) -> int:
    """Print one data set; return how many of its bars are missed."""
    hidden = figures.get("hidden_labels", 0)
    print(f"\n{name}: {figures['items']} items, {hidden} hidden labels, {figures['seconds']} s")
    for estimator, result in figures["estimators"].items():
        print(f"  {estimator:14}" + "".join(f"{text:>18}" for text in row(result)))
    for note in [*figures["notes"], *(f"{who}: {why}" for who, why in figures["failed"].items())]:
        print(f"  note: {note}")
    checks = checks_of(name, figures) if JUDGED in figures["estimators"] else []
    for check in checks:
        mark = "reached" if check.margin >= 0 else "MISSED "
        print(f"  {mark} {check.what:48} {check.value:8.4f}  bar {check.bar:8.4f}")
    return sum(check.margin < 0 for check in checks)


def row(result: dict[str, Any]) -> list[str]:
    """Hidden-label log loss twice, accuracy and log loss by labels, both areas, seconds."""
    cells = [
        f"nll {part['nll']:.3f}±{part['se'] or 0:.3f}" if part else "nll -" for part in result["hidden_label"].values()
    ]
    shown = {0: "0", 2: "2", len(result["truth"]) - 1: "all"}
    cells += [
        f"{name}: {result['truth'][j]['accuracy']:.3f}/{result['truth'][j]['log_loss']:.3f}"
        for j, name in shown.items()
        if 0 <= j < len(result["truth"])
    ]
    auc = result["auc"]
    return [
        *cells,
        *(f"AUC {value:.3f}" for value in auc.values() if value is not None),
        f"fit {result['fit_s']:.1f} s",
    ]


def checks_of(name: str, figures: dict[str, Any]) -> list[Check]:
    """Every bar that this data set has for the hybrid."""
    judged, people = figures["estimators"][JUDGED], figures["estimators"]["majority"]
    checks = fixed_checks(BARS[name], judged) if name in BARS else []
    checks += [paired_check(figures, rival) for rival in RIVALS if gap_to(figures, rival)]
    if judged["hidden_label"]["all_others"] and not any("No model" in note for note in figures["notes"]):
        checks.append(above("AUC per task, above people's majority", judged, people))
        if len(judged["truth"]) > 2:
            checks.append(at_most("log loss after two labels, people's majority", *(
                each["truth"][2]["log_loss"] for each in (judged, people)
            )))  # fmt: skip
    return checks


def fixed_checks(bar: Bar, judged: dict[str, Any]) -> list[Check]:
    losses = [
        at_most(f"hidden-label log loss, {given}", judged["hidden_label"][given]["nll"], getattr(bar, given))
        for given in ("all_others", "evidence_only")
    ]
    if bar.auc is None:
        return losses
    area = judged["auc"]["per_task"]
    return [*losses, Check("AUC per task", area, bar.auc, area - bar.auc)]


def at_most(what: str, value: float, bar: float) -> Check:
    """Compared as it is, not as it is rounded."""
    return Check(what, value, bar, bar - value)


def above(what: str, judged: dict[str, Any], people: dict[str, Any]) -> Check:
    value, bar = judged["auc"]["per_task"], people["auc"]["per_task"]
    return Check(what, value, bar, value - bar)


def paired_check(figures: dict[str, Any], rival: str) -> Check:
    """The hybrid's excess of log loss over a rival's, against twice its standard error."""
    excess, se = gap_to(figures, rival)
    return Check(f"hidden-label log loss beyond {rival}'s, at most 2 se", excess, 2 * se, 2 * se - excess)


def gap_to(figures: dict[str, Any], rival: str) -> tuple[float, float] | None:
    for pair in figures["paired"]["all_others"]:
        if {pair["first"], pair["second"]} == {JUDGED, rival}:
            return (pair["nll"] if pair["first"] == JUDGED else -pair["nll"]), pair["se"] or 0.0
    return None


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("QUORATE_DATA", str(SHARED)))
    parser.add_argument("--out", default="build/recorded")
    parser.add_argument("--estimators", default="dawid-skene,hybrid")
    parser.add_argument("--only", default="")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
