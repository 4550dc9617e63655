"""The labels of one task as sums over items, for each question about agreement: people, pairs of agents, models."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64, Shaped
from scipy.sparse import coo_array, csr_array

from quorate.data.encode import Coded
from quorate.measure.coefficients import (
    Weighting,
    above_chance,
    agreement_weights,
    cohen,
    item_sums,
    ratio,
)

Array = np.ndarray


class Ratings(NamedTuple):
    """People's labels of one task, and what the models answered."""

    item: Int64[Array, "labels"]
    person: Int64[Array, "labels"]  # -1: somebody whom a fitted model does not know
    code: Int64[Array, "labels"]
    counts: Int64[Array, "items classes"]
    answer: Int64[Array, "items models"]  # -1: none


class SharedItems(NamedTuple):
    """Items that pairs of agents both answered: one entry per item and pair."""

    item: Int64[Array, "shared"]
    first: Int64[Array, "shared"]
    second: Int64[Array, "shared"]
    first_code: Int64[Array, "shared"]
    second_code: Int64[Array, "shared"]


class PairTables(NamedTuple):
    """How often each pair gave each two classes, item by item."""

    first: Int64[Array, "pairs"]
    second: Int64[Array, "pairs"]
    shared: Int64[Array, "pairs"]  # items in common
    sums: csr_array  # items x (pairs · classes · classes)


def ratings(coded: Coded, task_code: int) -> Ratings:
    """The labels of one task."""
    n_classes = len(coded.schema.tasks[task_code].classes)
    item, task = np.divmod(coded.cell_of_label(), coded.n_tasks)
    chosen = task == task_code
    item, code = item[chosen], coded.labels.code[chosen].astype(np.int64)
    counts = np.bincount(item * n_classes + code, minlength=coded.n_items * n_classes).reshape(-1, n_classes)
    answer = coded.outputs[task_code].answer.astype(np.int64)
    return Ratings(item, coded.labels.annotator[chosen].astype(np.int64), code, counts, answer)


# ---- pairs of agents ----------------------------------------------------------------------------------------------
def label_pairs(item: Int64[Array, "labels"]) -> tuple[Int64[Array, "pairs"], Int64[Array, "pairs"]]:
    """Places of every two labels of the same item; labels of an item lie side by side.

    >>> [side.tolist() for side in label_pairs(np.array([4, 4, 7, 9, 9]))]
    [[0, 3], [1, 4]]
    """
    most = int(np.unique(item, return_counts=True)[1].max(initial=0))
    here = [np.flatnonzero(item[step:] == item[:-step]) for step in range(1, most)]
    left = np.concatenate([np.zeros(0, np.int64), *here])
    return left, left + np.repeat(np.arange(1, most), [len(places) for places in here])


def people_pairs(of: Ratings) -> SharedItems:
    """Every two people who labeled the same item, the one with the lower code first."""
    known = of.person >= 0
    item, person, code = of.item[known], of.person[known], of.code[known]
    left, right = label_pairs(item)
    swap = person[left] > person[right]
    left, right = np.where(swap, right, left), np.where(swap, left, right)
    return SharedItems(item[left], person[left], person[right], code[left], code[right])


def model_pairs(of: Ratings) -> SharedItems:
    """Every model (first) with every person (second) who labeled the same item."""
    answer = of.answer[of.item]
    label, model = np.nonzero((answer >= 0) & (of.person >= 0)[:, None])
    return SharedItems(of.item[label], model, of.person[label], answer[label, model], of.code[label])


def pair_tables(shared: SharedItems, n_classes: int, min_shared: int) -> PairTables:
    """The tables of pairs with at least so many items in common."""
    width = int(shared.second.max(initial=0)) + 1
    pairs, pair, often = np.unique(shared.first * width + shared.second, return_inverse=True, return_counts=True)
    kept = often >= min_shared
    place = np.cumsum(kept) - 1
    use = kept[pair]
    column = (place[pair[use]] * n_classes + shared.first_code[use]) * n_classes + shared.second_code[use]
    items, row = np.unique(shared.item[use], return_inverse=True)
    shape = (len(items), int(kept.sum()) * n_classes**2)
    sums = coo_array((np.ones(len(column)), (row, column)), shape=shape).tocsr()
    return PairTables(pairs[kept] // width, pairs[kept] % width, often[kept], sums)


def pair_kappas(
    total: Float64[Array, "draws sums"],
    n_classes: int,
    weighting: Weighting,
    group: Int64[Array, "pairs"],
) -> Float64[Array, "draws outputs"]:
    """Cohen's kappa as the mean over the pairs of each group, weighted by items in common; then pair by pair."""
    tables = total.reshape(len(total), -1, n_classes, n_classes)
    kappa = cohen(tables, agreement_weights(n_classes, weighting))
    weight = tables.sum(axis=(2, 3)) * np.isfinite(kappa)
    member = np.equal.outer(group, np.unique(group)).astype(np.float64)
    mean = ratio((np.nan_to_num(kappa) * weight) @ member, weight @ member)
    return np.hstack([mean, kappa])


# ---- a model against people ---------------------------------------------------------------------------------------
def model_sums(counts: Shaped[Array, "items classes"], answer: Int64[Array, "items"]) -> Float64[Array, "items sums"]:
    """What each item that the model and people answered adds to `model_figures`."""
    n_classes = counts.shape[1]
    labels = counts.sum(axis=1)
    share, chosen = counts / labels[:, None], np.eye(n_classes)[answer]
    near = agreement_weights(n_classes, "quadratic")[answer]
    alone = np.column_stack([np.ones(len(labels)), (share * chosen).sum(axis=1), (share * near).sum(axis=1)])
    agree = item_sums(counts, ordered=False)[:, 2:3]
    two = (labels > 1)[:, None]
    return np.hstack([alone, chosen, share, two * alone[:, :2], agree, two * chosen, two * share])


def model_figures(total: Float64[Array, "draws sums"], n_classes: int) -> Float64[Array, "draws outputs"]:
    """Five figures: agreement with a random person, its kappa and weighted kappa; both less what two people reach."""
    k = n_classes
    n, same, near = total[:, :3].T
    chosen, share = total[:, 3 : 3 + k], total[:, 3 + k : 3 + 2 * k]
    n_two, same_two, people = total[:, 3 + 2 * k : 6 + 2 * k].T
    chosen_two, share_two = total[:, 6 + 2 * k : 6 + 3 * k], total[:, 6 + 3 * k :]
    weights = agreement_weights(k, "quadratic")
    agreement, with_two, between_two = ratio(same, n), ratio(same_two, n_two), ratio(people, n_two)
    kappa = above_chance(agreement, ratio((chosen * share).sum(axis=1), n**2))
    near_kappa = above_chance(ratio(near, n), ratio(((chosen @ weights) * share).sum(axis=1), n**2))
    kappa_two = above_chance(with_two, ratio((chosen_two * share_two).sum(axis=1), n_two**2))
    people_two = above_chance(between_two, ratio((share_two**2).sum(axis=1), n_two**2))
    return np.column_stack([agreement, kappa, near_kappa, with_two - between_two, kappa_two - people_two])
