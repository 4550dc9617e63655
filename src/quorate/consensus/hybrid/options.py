"""The settings of `hybrid` that a fit chooses from the data, or that the user gives."""

from __future__ import annotations

from typing import NamedTuple


class Settings(NamedTuple):
    """One choice. Shrinkages are precisions of Gaussian priors on logits and weights (1 / nats^2), or
    pseudo-labels; larger pulls harder.
    """

    factors: int = 2  # R, shared by the tasks; 0: tasks apart
    subtypes: int = 1  # latent kinds of every class: 2 tells clear from unclear items
    annotator: float = 5.0  # an annotator's rows around the population row
    apart: float = 300.0  # a model's own weights around the pooled vote, and more softly the weights of that vote
    people: float = 15.0  # pseudo-labels per row of the population


class Fixed(NamedTuple):
    """Shrinkages that no data set needed otherwise; the same for all. Where they come from: docs/decisions/0003."""

    strength: float = 0.8  # nats of evidence per nat of pooled log score, before any label
    strength_all: float = 2.0
    strength_task: float = 8.0
    pooled: float = 1 / 6  # times Settings.apart: what all models share is learned sooner than what one has apart
    feature: float = 30.0
    leniency: float = 0.5  # times Settings.annotator: a bias towards a class is learned sooner than a whole row
    loading: float = 1.0
    prevalence: float = 1.0
    gold: float = 5.0  # pseudo-labels per row of the expert
    mixed: float = 5.0  # labels that the population row itself is worth when annotators' rows are averaged
    agreement: float = 20.0  # pseudo-labels at the usual agreement
    share: float = 4.0  # pseudo-labels per class in the overall shares


FIXED = Fixed()
