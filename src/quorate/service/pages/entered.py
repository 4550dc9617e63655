"""How a campaign asks, as the fields of a form hold it: written from a campaign, read back with what is wrong where."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from quorate.policy.stopping import Minimum, PerTaskConfidence, Policy, policy_from_json
from quorate.schema import Schema
from quorate.service.campaign_shapes import ChangedCampaign, LabelerIn, PricesIn, SettingsIn
from quorate.service.offer import Offer
from quorate.store.asking import CONFIDENCES, Labeler
from quorate.store.records import Campaign

KINDS: Mapping[str, str] = {
    "per-task-confidence": "each question by itself, once it is sure enough",
    "minimum": "all questions of an item, once the least sure is sure enough",
    "joint": "all questions of an item, once all are right with enough probability",
}
KEEP = "keep"  # a policy that the form has no words for
USUAL = 0.95
LOW, HIGH = 0.5, 0.999
MOST_MONEY = 1e12
BY_TOKENS, IN_WORDS, BY_SAMPLES = CONFIDENCES
HOW_SURE: Mapping[str, str] = {
    BY_TOKENS: "the probabilities of its words",
    IN_WORDS: "what it says in percent",
    BY_SAMPLES: "how often five answers agree",
}


class Entered(NamedTuple):
    """What stands in the fields, as texts."""

    policy: str
    confidence: str
    own: Sequence[str]  # a confidence of its own, by question
    overlap: str
    suggest: bool
    price: str
    of_task: Sequence[str]
    of_annotator: Sequence[tuple[str, str]]  # name, price
    budget: str
    models: Sequence[str]
    model_cap: str
    model_confidence: str


def entered_of(campaign: Campaign, people: Sequence[str]) -> Entered:
    """The campaign as it is; people are those whose price may be set."""
    policy, prices, tasks = campaign.policy, campaign.prices, [task.name for task in campaign.schema.tasks]
    kind = policy.get("policy", "minimum")
    own, of_people = policy.get("of_task", {}), prices.get("of_annotator", {})
    labeler = campaign.settings.labeler
    return Entered(
        kind if kind in KINDS else KEEP,
        _text(policy.get("threshold", USUAL)) if kind in KINDS else "",
        [_text(own.get(task)) if kind in KINDS else "" for task in tasks],
        str(campaign.settings.overlap),
        not campaign.settings.blind,
        _text(prices.get("label", 0.0) or None),
        [_text(prices.get("of_task", {}).get(task)) for task in tasks],
        [(name, _text(of_people.get(name))) for name in dict.fromkeys([*people, *of_people])],
        _text(campaign.budget),
        labeler.models if labeler else (),
        _text(labeler.cap_usd) if labeler else "",
        labeler.confidence if labeler else BY_TOKENS,
    )


def entered_in(fields: Mapping[str, list[str]], n_tasks: int) -> Entered:
    """What somebody has typed."""

    def one(name: str) -> str:
        return (fields.get(name) or [""])[-1].strip()

    def row(name: str) -> list[str]:
        return [text.strip() for text in [*fields.get(name, []), *[""] * n_tasks][:n_tasks]]

    people = zip(fields.get("annotator", []), fields.get("of_annotator", []), strict=False)
    return Entered(
        one("policy"),
        one("confidence"),
        row("own"),
        one("overlap"),
        "suggest" in fields,
        one("price"),
        row("of_task"),
        [(name, text.strip()) for name, text in people],
        one("budget"),
        list(dict.fromkeys(fields.get("model", []))),
        one("model_cap"),
        one("model_confidence") or BY_TOKENS,
    )


class Reading:
    """Reads fields; `wrong` says of each that does not fit what would."""

    def __init__(self, entered: Entered) -> None:
        self.entered = entered
        self.wrong: dict[str, str] = {}

    def change(self, campaign: Campaign, offer: Offer | None) -> ChangedCampaign:
        """What differs from the campaign; nothing of it counts where something is wrong."""
        changed: dict[str, Any] = {}
        policy, prices, settings = self._policy(campaign), self._prices(campaign), self._settings(campaign, offer)
        budget = self._amount("budget", self.entered.budget)
        if policy is not None and _read(policy) != _read(campaign.policy):
            changed["policy"] = policy
        if prices != {"label": 0.0, "of_task": {}, "of_annotator": {}} | dict(campaign.prices):
            changed["prices"] = PricesIn.model_construct(**prices)
        if budget != campaign.budget:
            changed["budget"] = budget
        if settings:
            changed["settings"] = SettingsIn.model_construct(set(settings), **settings)
        return ChangedCampaign.model_construct(set(changed), **changed)

    def labeler(self, before: Labeler | None, offer: Offer | None) -> Labeler | None:
        """The models that are chosen."""
        entered, offered = self.entered, offer.models if offer else ()
        if not entered.models:
            return None
        strange = [name for name in entered.models if name not in offered]
        if strange and not (before and set(strange) <= set(before.models)):
            self.wrong["model"] = f"{strange[0]} is not offered here"
        cap = self._amount("model_cap", entered.model_cap)
        if cap is None:
            self.wrong.setdefault("model_cap", "say how many US dollars they may cost in all")
        if entered.model_confidence not in CONFIDENCES:
            self.wrong["model_confidence"] = "choose one of these"
        if self.wrong.keys() & {"model", "model_cap", "model_confidence"}:
            return before
        confidence: Any = entered.model_confidence
        return Labeler(tuple(entered.models), cap or 0.0, confidence, before.questions if before else {})

    # ---- parts --------------------------------------------------------------------------------------------------
    def _policy(self, campaign: Campaign) -> dict[str, Any] | None:
        """None where it stays."""
        kind, schema = self.entered.policy, campaign.schema
        if kind == KEEP:
            return None
        if kind not in KINDS:
            self.wrong["policy"] = "choose one of these"
            return None
        threshold = self._share("confidence", self.entered.confidence)
        own = self._own(schema)
        if own and kind != PerTaskConfidence.name:
            self.wrong["own"] = "this is only for questions that close each by itself; leave it empty"
        if threshold is None:
            self.wrong.setdefault("confidence", f"a number from {LOW} to {HIGH}")
            return None
        policy: dict[str, Any] = {"policy": kind, "threshold": threshold}
        return policy | ({"of_task": own} if kind == PerTaskConfidence.name else {})

    def _own(self, schema: Schema) -> dict[str, float]:
        found = {
            task.name: self._share(f"own-{at}", text)
            for at, (task, text) in enumerate(zip(schema.tasks, self.entered.own, strict=True))
        }
        return {name: value for name, value in found.items() if value is not None}

    def _prices(self, campaign: Campaign) -> dict[str, Any]:
        tasks = zip(campaign.schema.tasks, self.entered.of_task, strict=True)
        of_task = {task.name: self._amount(f"of_task-{at}", text) for at, (task, text) in enumerate(tasks)}
        people = enumerate(self.entered.of_annotator)
        of_annotator = {name: self._amount(f"of_annotator-{at}", text) for at, (name, text) in people}
        return {
            "label": self._amount("price", self.entered.price) or 0.0,
            "of_task": {name: price for name, price in of_task.items() if price is not None},
            "of_annotator": {name: price for name, price in of_annotator.items() if price is not None},
        }

    def _settings(self, campaign: Campaign, offer: Offer | None) -> dict[str, Any]:
        before, changed = campaign.settings, dict[str, Any]()
        overlap = self._whole("overlap", self.entered.overlap, 1, 1000)
        if overlap is not None and overlap != before.overlap:
            changed["overlap"] = overlap
            if before.together == before.overlap:  # as many at a time as in all, as it was
                changed["together"] = overlap
        if before.blind == self.entered.suggest:
            changed["blind"] = not self.entered.suggest
        labeler = self.labeler(before.labeler, offer)
        if labeler != before.labeler:
            changed["labeler"] = None if labeler is None else _wire(labeler)
        return changed

    def _share(self, field: str, text: str) -> float | None:
        return self._number(field, text, LOW, HIGH, f"a number from {LOW} to {HIGH}")

    def _amount(self, field: str, text: str) -> float | None:
        return self._number(field, text, 0.0, MOST_MONEY, "an amount of 0 or more")

    def _whole(self, field: str, text: str, low: int, high: int) -> int | None:
        said = f"a whole number from {low} to {high}"
        value = self._number(field, text, float(low), float(high), said)
        if value is None or value != int(value):
            self.wrong.setdefault(field, said)
            return None
        return int(value)

    def _number(self, field: str, text: str, low: float, high: float, said: str) -> float | None:
        """None where the field is empty, or wrong."""
        if not text:
            return None
        try:
            value = float(text.replace(",", "."))
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            self.wrong[field] = said
            return None
        return value


def _read(policy: Mapping[str, Any]) -> Policy:
    return policy_from_json(json.dumps(policy)) if policy else Minimum(USUAL)


def _wire(labeler: Labeler) -> LabelerIn:
    return LabelerIn.model_validate(json.loads(json.dumps(labeler.__dict__)))


def _text(value: float | None) -> str:
    """As a person would type it.

    >>> _text(0.95), _text(3.0), _text(None)
    ('0.95', '3', '')
    """
    return "" if value is None else f"{value:.10g}"
