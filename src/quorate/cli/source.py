"""What a verb starts from: a dataset folder, and a model that was saved or is fitted here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from quorate.cli.arguments import OnBad
from quorate.cli.terminal import plural, progress, tell

if TYPE_CHECKING:
    from quorate.consensus.estimator import Model
    from quorate.data.dataset import Dataset
    from quorate.data.encode import Coded


class Size(NamedTuple):
    """How much there is."""

    items: int
    tasks: int
    labels: int
    annotators: int
    models: int
    gold: int

    def line(self) -> str:
        """The counts in words."""
        parts = [
            plural(self.items, "item"),
            plural(self.tasks, "task"),
            f"{plural(self.labels, 'label')} by {plural(self.annotators, 'person', 'people')}",
            plural(self.models, "model"),
        ]
        return ", ".join(parts) + (f", {plural(self.gold, 'gold label')}" if self.gold else "")


def size(coded: Coded) -> Size:
    """The counts of an encoded data set."""
    return Size(
        coded.n_items,
        coded.n_tasks,
        len(coded.labels.code),
        len(coded.annotators),
        len(coded.models),
        int((coded.gold >= 0).sum()),
    )


def opened(folder: Path, on_bad: OnBad = OnBad.RAISE) -> Dataset:
    """The data of a folder; rows set aside are told on stderr."""
    from quorate.data.dataset import Dataset

    data = Dataset.read(folder, on_bad=on_bad.value)
    tell_set_aside(data, folder)
    return data


def recorded_prices(data: Dataset) -> dict[str, float]:
    """Mean cost of a call by model, where the table of models' answers tells it (`cost_usd`)."""
    import pyarrow.compute as pc

    answers = data.model_labels
    if answers is None or "cost_usd" not in answers.column_names:
        return {}
    paid = answers.filter(pc.is_valid(answers["cost_usd"])).group_by("model").aggregate([("cost_usd", "mean")])
    return {row["model"]: float(row["cost_usd_mean"]) for row in paid.to_pylist()}


def tell_set_aside(data: Dataset, folder: Path) -> None:
    """Say on stderr how many rows were set aside, and where they are."""
    if len(data.quarantined):
        n_bad = plural(len(data.quarantined), "bad row")
        tell(f"quorate: {n_bad} set aside in {folder / 'quarantine'}, with the reason for each")


def fitted(data: Dataset, estimator: str) -> Model:
    """A model of that name, fitted on the data, with a progress bar."""
    from quorate.consensus.registry import estimator as named

    with progress(f"fitting {estimator}") as step:
        return named(estimator).fit(data, progress=step)


def loaded_or_fitted(data: Dataset, path: Path | None, estimator: str) -> Model:
    """The model saved under the path, or where there is none, one fitted on the data."""
    if path is None:
        return fitted(data, estimator)
    from quorate.consensus.archive import load

    return load(path)
