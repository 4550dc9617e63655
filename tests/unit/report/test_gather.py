"""Everything at once: what the data cannot tell has a reason, and nothing breaks."""

from __future__ import annotations

import pytest

from quorate.data.dataset import Dataset
from quorate.errors import SettingError
from quorate.report.absent import Absent
from quorate.report.gather import Options, Report, gather
from quorate.report.page import as_json, drawings, page
from quorate.report.sentences import cards
from unit.report import hostile

QUICK = Options(estimator="dawid-skene", floor=0.9)
PARTS = ("saved", "trust", "proof", "people", "models", "worth", "doubts")


def absent(report: Report) -> set[str]:
    return {name for name in PARTS if isinstance(getattr(report, name), Absent)}


def people_only() -> Dataset:
    return hostile.dataset(n_models=0)


def models_only() -> Dataset:
    data = hostile.dataset(gold=True)
    return Dataset(model_labels=data.model_labels, gold=data.gold)


def one_person() -> Dataset:
    data = hostile.dataset()
    return Dataset(labels=data.labels.filter([name == "ann-0" for name in data.labels["annotator"].to_pylist()]))


def one_person_and_gold() -> Dataset:
    data = hostile.dataset(gold=True)
    labels = data.labels.filter([name == "ann-0" for name in data.labels["annotator"].to_pylist()])
    return Dataset(labels=labels, gold=data.gold, model_labels=data.model_labels)


def gold_only() -> Dataset:
    return Dataset(gold=hostile.dataset(gold=True).gold)


def two_labels() -> Dataset:
    return Dataset(labels=hostile.dataset().labels.slice(0, 2))


@pytest.mark.parametrize(
    ("data", "missing"),
    [
        (people_only, {"models", "worth"}),
        (models_only, {"saved", "trust", "proof", "people", "worth", "doubts"}),
        (one_person, {"saved", "trust", "proof", "models", "worth", "doubts"}),
        (one_person_and_gold, set()),
        (gold_only, set(PARTS)),
        (two_labels, {"saved", "trust", "proof", "models", "worth", "doubts"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_cannot_be_told_has_one_sentence_and_no_frame(data, missing: set[str]) -> None:
    """For every kind of gap the page is whole, and each missing part says why."""
    found = gather(data(), QUICK)
    assert absent(found) == missing
    for name in missing:
        why = getattr(found, name).why
        assert why.endswith(".")
        assert "\n" not in why
        assert len(why) < 250
    assert len(cards(found)) == 3
    text = page(found, drawings(found))
    for name in missing:
        assert str(getattr(found, name).why.split("'")[0]) in text.replace("&#39;", "'")


def test_everything_is_there_where_the_data_have_everything() -> None:
    """Gold, people and models: no part is missing, and the figures are JSON without NaN."""
    import json

    found = gather(hostile.dataset(gold=True), QUICK, name="campaign")
    assert absent(found) == set()
    told = json.loads(json.dumps(as_json(found), allow_nan=False))
    assert told["headline"].startswith(("At a floor", "No threshold"))
    assert {"saved", "trust", "proof", "people", "models", "worth", "doubts", "notes"} <= set(told)


def test_a_saved_model_is_used_as_it_is_and_the_page_says_what_that_means() -> None:
    """It may have seen the items: the note and the certificate say so."""
    from quorate.consensus.registry import estimator

    data = hostile.dataset()
    found = gather(data, QUICK, model=estimator("dawid-skene").fit(data))
    assert any("may have learned from these very items" in note for note in found.notes)
    assert not isinstance(found.proof, Absent)
    assert not found.proof.certificate.fit_checked


@pytest.mark.slow
def test_the_same_data_and_seed_give_the_same_report() -> None:
    """Nothing hangs on the clock or on the order of sets."""
    data = hostile.dataset()
    assert as_json(gather(data, QUICK)) == as_json(gather(data, QUICK))


@pytest.mark.parametrize(
    "options", [{"floor": 1.0}, {"floor": -0.1}, {"price": 0.0}, {"price": float("nan")}, {"delta": 0.0}]
)
def test_options_that_mean_nothing_are_refused_at_the_door(options: dict[str, float]) -> None:
    """Before the work, with the option's name."""
    with pytest.raises(SettingError, match=next(iter(options))):
        gather(hostile.dataset(), QUICK._replace(**options))


@pytest.mark.slow
def test_progress_rises_to_the_end() -> None:
    """Shares never fall, and the last part is that of the models."""
    seen: list[tuple[float, str]] = []
    gather(hostile.dataset(), QUICK, progress=lambda share, what: seen.append((share, what)))
    shares = [share for share, _ in seen]
    assert shares == sorted(shares)
    assert shares[-1] <= 1.0
    assert any("without" in what for _, what in seen)
