"""Whether people agree: before a judge is measured against them, they are measured against each other."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from quorate.data.dataset import Dataset
from quorate.errors import SettingError
from quorate.measure.agreement import AgreementReport, Figure, agreement

Says = Literal["agree", "unsure", "disagree", "unknown"]
LEAST_ALPHA = 0.4  # below this, agreement is called slight or fair [landis1977]


class PeopleAgree(NamedTuple):
    """Krippendorff's alpha of people on a task (ordinal where the classes are a scale), and what follows from it."""

    task: str
    says: Says
    alpha: float | None
    low: float | None
    high: float | None
    agreement: float | None  # P(two people give an item the same class)
    n_items: int  # that two people graded

    def sentence(self) -> str:
        """What to do about it."""
        match self.says:
            case "agree":
                return f"people agree on {self.task!r}"
            case "unsure":
                return f"whether people agree on {self.task!r} is not sure yet: let more items be graded by two people"
            case "disagree":
                return (
                    f"people do not agree on {self.task!r}: the rubric is the problem, and no judge can mend it; "
                    "say more clearly what each class means, and let people grade again"
                )
            case _:
                return f"nobody knows whether people agree on {self.task!r}: no item was graded by two people"

    def as_json(self) -> dict[str, Any]:
        """For logs and `--json`."""
        return {**self._asdict(), "sentence": self.sentence()}


def people_agree(people: Dataset, *, least_alpha: float = LEAST_ALPHA, seed: int = 0) -> tuple[PeopleAgree, ...]:
    """Task by task, on items that at least two people graded. Raises SettingError for a bound outside (0, 1)."""
    if not 0 < least_alpha < 1:
        raise SettingError(f"least_alpha = {least_alpha}: it lies between 0 and 1")
    report = agreement(people, seed=seed)
    return tuple(_of_task(report, task.name, task.ordered, least_alpha) for task in people.schema.tasks)


def _of_task(report: AgreementReport, task: str, ordered: bool, least: float) -> PeopleAgree:
    alpha = _figure(report, task, "krippendorff_alpha_ordinal") if ordered else None
    alpha = alpha or _figure(report, task, "krippendorff_alpha")
    same = _figure(report, task, "agreement")
    n_items = same.n_items if same else 0
    share = same.estimate if same else None
    if alpha is None or alpha.estimate is None:  # everybody gave one class: no chance to disagree, or no two people
        return PeopleAgree(task, "unknown", None, None, None, share, n_items)
    low, high = (-1.0 if alpha.low is None else alpha.low), (1.0 if alpha.high is None else alpha.high)
    says: Says = "agree" if low >= least else "disagree" if high < least else "unsure"
    return PeopleAgree(task, says, alpha.estimate, alpha.low, alpha.high, share, n_items)


def _figure(report: AgreementReport, task: str, measure: Any) -> Figure | None:
    try:
        return report.of(measure, task=task)
    except SettingError:
        return None
