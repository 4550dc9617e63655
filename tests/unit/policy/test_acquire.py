"""Laws of the next label: what information is worth, what certainty is not, and how a batch is filled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import Float64

from quorate.consensus.dawid_skene import DawidSkene
from quorate.consensus.majority import Majority
from quorate.consensus.posterior import Consensus, IndependentBelief, PeopleRows, Target
from quorate.data.encode import Coded, Labels
from quorate.errors import NotFittedError, SettingError
from quorate.policy.acquire import _boards, acquire, choices_of, rates, terms_of
from quorate.policy.acquire_doubt import tree
from quorate.policy.acquire_rows import Rows, price_table, rows_of
from quorate.policy.prices import Prices
from quorate.policy.stopping import Joint, Minimum, PerTaskConfidence
from quorate.policy.value import learn_value
from quorate.schema import Schema, Task
from quorate.simulate.draw import categorical
from quorate.simulate.world import world
from unit.consensus.build import coded_from

Array = np.ndarray
AB = {"t": ("a", "b")}
NAMES = ("ann", "bo", "cy", "dee", "eve", "fay", "gus", "hal")


# ---- small consensuses ----------------------------------------------------------------------------------------------
def believed(
    *latent: Float64[Array, "items _classes"], counts: Sequence[Array] | None = None, target: Target | None = None
) -> Consensus:
    """One task per array, latent classes named as the classes."""
    widths = [each.shape[1] for each in latent]
    schema = Schema(tuple(Task(f"t{t}", tuple("abcdef"[:k])) for t, k in enumerate(widths)))
    seen = [np.zeros(each.shape, np.int32) for each in latent] if counts is None else counts
    people = tuple(PeopleRows(np.eye(k), fair(k), None) for k in widths)
    items = tuple(f"i{i:03d}" for i in range(len(latent[0])))
    targets = (target or Target("latent"),) * len(latent)
    return Consensus(schema, items, tuple(seen), IndependentBelief(latent), people, targets)


def fair(k: int, right: float = 0.7) -> Float64[Array, "latent classes"]:
    """Right so often, wrong answers alike."""
    return np.where(np.eye(k, dtype=bool), right, (1 - right) / max(k - 1, 1))


def people(*rows: Sequence[Float64[Array, "latent classes"]]) -> Rows:
    """One sequence of annotators per task; the typical person is right in 0.7."""
    return Rows(NAMES[: len(rows[0])], tuple(np.stack([*each, fair(each[0].shape[0])]) for each in rows))


def drawn(seed: int, k: int, n_items: int = 12, n_people: int = 4) -> tuple[Consensus, Rows, np.random.Generator]:
    """A random consensus on one task, and random people."""
    rng = np.random.default_rng(seed)
    latent = rng.dirichlet(np.full(k, 0.7), n_items)
    return believed(latent), people([rng.dirichlet(np.ones(k), k) for _ in range(n_people)]), rng


def worths(consensus: Consensus, rows: Rows, task: int = 0, **options: Any) -> Float64[Array, "items annotators"]:
    """Worth per price of everyone on one task."""
    prices = options.pop("prices", Prices())
    terms = terms_of(consensus, rows, prices=prices, bar=options.pop("bar", None), horizon=options.pop("horizon", None))
    board = _boards(consensus, terms, choices_of(consensus, rows, **options), np.ones(len(rows.annotators), bool))[task]
    assert board.nats is not None
    best = board.nats.max(axis=1, keepdims=True)
    return board.rate[:, None] * np.divide(board.nats, best, out=np.zeros_like(board.nats), where=best > 0)


seeds, widths = st.integers(0, 2**20), st.integers(2, 4)


# ---- what a label is worth ------------------------------------------------------------------------------------------
@settings(max_examples=25)
@given(seeds, widths)
def test_nobody_is_worth_more_than_who_is_always_right(seed: int, k: int) -> None:
    """I(target; label) <= H(target), reached by the identity."""
    consensus, rows, _ = drawn(seed, k)
    with_perfect = people([*rows.of_task[0][:-1], np.eye(k)])
    found = worths(consensus, with_perfect)
    assert (found[:, -1:] >= found - 1e-12).all()


@settings(max_examples=25)
@given(seeds, widths)
def test_a_guesser_is_worth_nothing(seed: int, k: int) -> None:
    """A label that is independent of the truth moves no posterior, now or later."""
    consensus, rows, rng = drawn(seed, k)
    guesser = np.repeat(rng.dirichlet(np.ones(k))[None], k, axis=0)
    found = worths(consensus, people([*rows.of_task[0][:-1], guesser]))
    assert (found[:, -1] == 0).all()


@settings(max_examples=25)
@given(seeds, widths)
def test_worth_is_never_negative_and_never_above_what_is_missing(seed: int, k: int) -> None:
    """0 <= gain in P(right) per label <= 1 - P(right): a plan costs one label at least."""
    consensus, rows, _ = drawn(seed, k)
    found = rates(consensus, rows)
    assert (found >= 0).all()
    assert (found <= 1 - consensus.confidence("t0")[:, None] + 1e-12).all()


@settings(max_examples=25)
@given(seeds, widths)
def test_half_the_price_doubles_worth_per_price(seed: int, k: int) -> None:
    """Worth per price is gain over price."""
    consensus, rows, _ = drawn(seed, k)
    np.testing.assert_allclose(
        worths(consensus, rows, prices=Prices(0.5)), 2 * worths(consensus, rows, prices=Prices(1.0)), rtol=1e-9
    )


def test_half_the_price_of_one_who_is_not_the_best_doubles_that_one_alone() -> None:
    """The rate of the item is that of the best plan; others are held against its first label."""
    consensus, rows = believed(np.array([[0.6, 0.4]])), people([fair(2, 0.95), fair(2, 0.6)])
    dear = worths(consensus, rows, horizon=1)
    cheap = worths(consensus, rows, horizon=1, prices=Prices(1.0, of_annotator={"bo": 0.5}))
    np.testing.assert_allclose(cheap, dear * [[1.0, 2.0]])


def test_what_is_certain_is_worth_nothing() -> None:
    """No label moves a certainty."""
    consensus = believed(np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.5, 0.3, 0.2]]))
    found = rates(consensus, people([fair(3), fair(3, 0.9)]))[:, 0]
    assert found[0] == found[1] == 0 < found[2]


@settings(max_examples=25)
@given(seeds, widths)
def test_relabeling_only_relabels(seed: int, k: int) -> None:
    """Items, annotators and classes in another order: the same worths in that order."""
    consensus, rows, rng = drawn(seed, k)
    items, agents, classes = rng.permutation(12), rng.permutation(4), rng.permutation(k)
    moved = believed(consensus.belief.marginal(0)[items][:, classes])
    of_task = rows.of_task[0][[*agents, 4]][:, classes][:, :, classes]
    found = worths(moved, people(list(of_task[:-1])))
    np.testing.assert_allclose(found, worths(consensus, rows)[items][:, agents], atol=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_the_rate_is_that_of_dynamic_programming(seed: int) -> None:
    """At the rate, asking once and then as one likes is worth just as much as stopping; above it, less."""
    consensus, rows, rng = drawn(seed, 2 + seed % 2, n_people=3)
    prices = Prices(of_annotator=dict(zip(NAMES, rng.uniform(0.5, 2.0, 3), strict=False)))
    queue = np.repeat(rng.permutation(3)[None], 12, axis=0)
    found = rates(consensus, rows, prices=prices, queue=queue, horizon=3)[:, 0]
    price = [prices.of_annotator[NAMES[a]] for a in queue[0]]
    row = [rows.of_task[0][a] for a in queue[0]]
    for latent, rate in zip(consensus.belief.marginal(0), found, strict=True):
        surplus = [asked(latent, row, price, at) - latent.max() for at in (rate, rate * 1.01 + 1e-9, rate * 0.99)]
        assert abs(surplus[0]) < 1e-9
        assert surplus[1] <= 0 <= surplus[2] + 1e-12


def asked(latent: Array, rows: list[Array], prices: list[float], rate: float) -> float:
    """Value of asking the first, then going on as long as it pays; P(right) and answers so far together."""
    joint = [latent * rows[0][:, r] for r in range(rows[0].shape[1])]
    return sum(going(each, rows[1:], prices[1:], rate) for each in joint) - rate * prices[0] * float(latent.sum())


def going(latent: Array, rows: list[Array], prices: list[float], rate: float) -> float:
    """The better of stopping and asking."""
    stop = float(latent.max())
    return max(stop, asked(latent, rows, prices, rate)) if rows else stop


@settings(max_examples=25)
@given(seeds, widths)
def test_looking_farther_never_lowers_the_rate(seed: int, k: int) -> None:
    """A plan of two labels may stop after one."""
    consensus, rows, _ = drawn(seed, k)
    near, far = (rates(consensus, rows, horizon=h) for h in (1, 3))
    assert (far >= near - 1e-12).all()


def test_two_labels_turn_what_one_cannot() -> None:
    """At 0.8 against 0.2 one label of a person right in 0.7 decides nothing, two do."""
    consensus, rows = believed(np.array([[0.8, 0.2]])), people([fair(2), fair(2)])
    assert rates(consensus, rows, horizon=1)[0, 0] == 0 < rates(consensus, rows, horizon=2)[0, 0]


# ---- panels and bars ------------------------------------------------------------------------------------------------
def test_a_panel_that_is_decided_is_worth_nothing() -> None:
    """Two of three said a: the third vote changes no majority; at one of three it does."""
    latent = np.array([[0.6, 0.4], [0.6, 0.4]])
    consensus = believed(latent, counts=[np.array([[2, 0], [1, 0]], np.int32)], target=Target("panel", 3))
    found = rates(consensus, people([fair(2), fair(2, 0.9)]), most=3)[:, 0]
    assert found[0] == 0 < found[1]


def test_a_bar_counts_answers_closed() -> None:
    """Closed already, and out of reach, are worth nothing; within reach of one label the worth is the chance of it."""
    consensus = believed(np.array([[0.95, 0.05], [0.5, 0.5], [0.75, 0.25]]))
    found = rates(consensus, people([fair(2, 0.8)]), bar=0.9, horizon=1)[:, 0]
    assert found[0] == found[1] == 0
    assert found[2] == pytest.approx(0.75 * 0.8 + 0.25 * 0.2)


def test_a_bar_may_be_a_policy() -> None:
    """Its thresholds are the bars."""
    consensus, rows = believed(np.array([[0.75, 0.25]])), people([fair(2, 0.8)])
    for policy in (PerTaskConfidence(0.9), Minimum(0.9)):
        np.testing.assert_array_equal(rates(consensus, rows, bar=policy), rates(consensus, rows, bar=0.9))
    with pytest.raises(SettingError, match="joint"):
        rates(consensus, rows, bar=Joint(0.9))


# ---- batches --------------------------------------------------------------------------------------------------------
@settings(max_examples=25)
@given(seeds, widths)
def test_a_batch_of_one_is_the_head_of_the_ranking(seed: int, k: int) -> None:
    """Filling goes from the top."""
    consensus, rows, _ = drawn(seed, k)
    first, many = (acquire(consensus, rows, batch=n, horizon=2) for n in (1, 15))
    assert first.equals(many.slice(0, 1))


@settings(max_examples=25)
@given(seeds, st.integers(0, 5), st.integers(1, 40))
def test_a_batch_keeps_loads_and_asks_nobody_twice(seed: int, load: int, batch: int) -> None:
    """Each at most their load; no (item, task, annotator) twice; worth falls; as full as loads and people allow."""
    consensus, rows, _ = drawn(seed, 2, n_items=4, n_people=3)
    table = acquire(consensus, rows, loads=load, batch=batch, horizon=3)
    triples = list(zip(*(table[name].to_pylist() for name in ("item", "task", "annotator")), strict=True))
    assert len(set(triples)) == len(triples)
    assert max([0, *(sum(who == name for _, _, who in triples) for name in rows.annotators)]) <= load
    assert np.all(np.diff(table["worth_per_price"].to_numpy()) <= 1e-12)
    assert table.num_rows == min(batch, 3 * min(load, 4))


def test_a_batch_does_not_send_the_same_item_to_everyone() -> None:
    """New questions that are worth anything go before second labels on old ones."""
    latent = np.array([[0.5, 0.5], [0.6, 0.4], [0.65, 0.35], [0.7, 0.3]])
    table = acquire(believed(latent), people([fair(2, 0.9)] * 4), batch=8)
    assert table["item"].to_pylist()[:4] == ["i000", "i001", "i002", "i003"]
    assert len(set(table["item"].to_pylist()[4:])) > 1


def test_a_second_label_in_a_batch_is_worth_less() -> None:
    """It is wanted only after some of the answers to the first."""
    worth = acquire(believed(np.array([[0.6, 0.4]])), people([fair(2, 0.8)] * 4), batch=4)["worth_per_price"].to_numpy()
    assert worth[0] > worth[1] >= worth[2] >= worth[3] >= 0


def test_hopeless_items_come_last() -> None:
    """The most doubtful item cannot be turned by the one person left; it comes after the sure one that can."""
    blind = np.array([[0.9, 0.05, 0.05], [0.05, 0.9, 0.05], [0.05, 0.9, 0.05]])  # cannot tell b from c
    consensus = believed(np.array([[0.02, 0.49, 0.49], [0.8, 0.2, 0.0]]))
    table = acquire(consensus, people([blind]), batch=2)
    assert consensus.confidence("t0")[0] < consensus.confidence("t0")[1]
    assert table["item"].to_pylist() == ["i001", "i000"]


def test_who_is_not_available_or_has_answered_is_not_asked() -> None:
    """Per item, per task, and by the labels there are."""
    consensus = believed(np.array([[0.5, 0.5]] * 2), np.array([[0.5, 0.5]] * 2))
    rows = people([fair(2, 0.9), fair(2, 0.8)], [fair(2, 0.9), fair(2, 0.8)])
    only_bo = np.array([[False, True], [True, True]])
    table = acquire(consensus, rows, available=only_bo, batch=10)
    assert table.num_rows == 6
    assert ("i000", "ann") not in zip(table["item"].to_pylist(), table["annotator"].to_pylist(), strict=True)
    per_task = np.zeros((2, 2, 2), bool)
    per_task[1, 0, 1] = True
    assert acquire(consensus, rows, available=per_task).drop("worth_per_price").to_pylist() == [
        {"item": "i001", "task": "t0", "annotator": "bo"}
    ]


def test_labels_there_are_count_for_taken_and_for_most() -> None:
    """A person's label is not bought twice; no item gets more than `most`."""
    data = coded_from(
        [("i0", "t", "ann", "a"), ("i0", "t", "bo", "b"), ("i1", "t", "ann", "b"), ("i1", "t", "cy", "b")], AB
    )
    model = DawidSkene().fit(data)
    consensus = model.predict(data).latent()
    table = acquire(consensus, rows_of(model, consensus), taken=data)
    assert sorted(zip(table["item"].to_pylist(), table["annotator"].to_pylist(), strict=True)) == [
        ("i0", "cy"),
        ("i1", "bo"),
    ]
    assert acquire(consensus, rows_of(model, consensus), taken=data, most=2).num_rows == 0


def test_a_queue_is_kept_and_strangers_have_no_name() -> None:
    """The next in line is asked, however good others are; the number of annotators stands for a stranger."""
    consensus, rows = believed(np.array([[0.5, 0.5], [0.6, 0.4]])), people([fair(2, 0.95), fair(2, 0.6)])
    queue = np.array([[1, 0], [2, -1]])
    found = acquire(consensus, rows, queue=queue, batch=9)
    assert sorted(zip(found["item"].to_pylist(), found["annotator"].to_pylist(), strict=True), key=str) == [
        ("i000", "ann"),
        ("i000", "bo"),
        ("i001", None),
    ]
    assert acquire(consensus, rows, queue=queue[:1].repeat(2, axis=0), batch=1)["annotator"].to_pylist() == ["bo"]


def test_a_queue_waits_for_who_is_busy() -> None:
    """The order is not ours to choose."""
    consensus, rows = believed(np.array([[0.5, 0.5]])), people([fair(2, 0.95), fair(2, 0.6)])
    assert acquire(consensus, rows, queue=np.array([[1, 0]]), loads={"bo": 0}).num_rows == 0


@pytest.mark.slow
def test_choosing_by_worth_beats_the_least_confident_first() -> None:
    """In the paper world 2,000 labels chosen by worth leave more answers right than at random people's hands."""
    site = world("paper", 800, 3)
    judge, rng = site.select(np.arange(400, 800)), np.random.default_rng(0)
    model, bare = DawidSkene().fit(site.select(np.arange(400)).coded()), judge.coded().without_labels()
    consensus = model.predict(bare).latent()
    of_task = zip(site.parameters.people, judge.truth.T, strict=True)
    said = np.stack([categorical(rng, rows[:, truth].transpose(1, 0, 2)) for rows, truth in of_task], axis=1)
    confidence = np.column_stack([consensus.confidence(task.name) for task in consensus.schema.tasks])
    item, task = np.divmod(np.argsort(confidence.ravel(), kind="stable")[:2_000], 10)
    chosen = acquire(consensus, rows_of(model, consensus), batch=2_000)
    asks = [places(chosen, bare), (item, task, rng.integers(50, size=2_000))]
    right = []
    for ask in asks:
        found = model.predict(labeled(bare, said, ask)).latent()
        codes = np.column_stack([found.label_codes(task.name) for task in consensus.schema.tasks])
        right.append((codes == judge.truth).mean(axis=1))
    difference = right[0] - right[1]
    assert difference.mean() > 4 * difference.std() / np.sqrt(len(difference))


def places(table: pa.Table, coded: Coded) -> tuple[Array, Array, Array]:
    """Rows of a ranking as codes."""
    names = coded.items, tuple(task.name for task in coded.schema.tasks), coded.annotators
    columns = zip(("item", "task", "annotator"), names, strict=True)
    return tuple(np.array([known.index(name) for name in table[column].to_pylist()]) for column, known in columns)


def labeled(bare: Coded, said: Array, ask: tuple[Array, Array, Array]) -> Coded:
    """The items with the answers to these questions; said: items tasks annotators."""
    order = np.lexsort(ask[::-1])
    item, task, annotator = (part[order] for part in ask)
    sizes = np.bincount(item * bare.n_tasks + task, minlength=bare.n_items * bare.n_tasks)
    start = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    labels = Labels(start, annotator.astype(np.int32), said[item, task, annotator], np.arange(len(item)))
    return replace(bare, labels=labels)


# ---- parts and bad input --------------------------------------------------------------------------------------------
def test_the_tree_counts_answers() -> None:
    """Every node's increment is that of its parent and one more answer."""
    of = tree(3, 3)
    for v in range(1, len(of.increment)):
        grown = of.added[of.increment[v]] - of.added[of.increment[(v - 1) // 3]]
        assert grown.tolist() == np.eye(3, dtype=int)[(v - 1) % 3].tolist()


def test_prices_are_the_annotators_else_the_tasks_else_one_for_all() -> None:
    """In that order; the typical person has no price of their own; a free label costs next to nothing."""
    schema = Schema((Task("t0", ("a", "b")), Task("t1", ("a", "b"))))
    table = price_table(Prices(1.0, {"t1": 3.0}, {"bo": 0.0}), schema, ("ann", "bo"))
    assert table[:, [0, 2]].tolist() == [[1.0, 1.0], [3.0, 3.0]]
    assert (table[:, 1] > 0).all()


def test_rows_lean_on_the_typical_one_the_more_the_fewer_labels_there_were() -> None:
    """Own in n of n + K (K - 1) parts: none without labels, nearly all with many."""
    rows = [(f"i{i}", "t", "ann", "ab"[i % 2]) for i in range(200)] + [("i0", "t", "bo", "a"), ("i1", "t", "bo", "a")]
    data = coded_from(rows, AB)
    model = DawidSkene().fit(data)
    consensus = model.predict(data)
    plain, leaning = (
        rows_of(model, consensus, ("ann", "bo", "zoe"), taught=taught).of_task[0] for taught in (None, data)
    )
    own = np.array([200 / 202, 2 / 4, 0.0])[:, None, None]
    np.testing.assert_allclose(leaning[:3], own * plain[:3] + (1 - own) * plain[3])
    np.testing.assert_array_equal(leaning[3], plain[3])


def test_asking_all_the_rest_of_a_panel_is_a_plan() -> None:
    """With nine votes open and one look ahead, one label turns nothing, but all of them make the panel certain."""
    rows = Rows(tuple(f"p{a}" for a in range(11)), (np.stack([fair(2)] * 12),))
    seen = [np.array([[2, 0]], np.int32)]
    consensus = believed(np.array([[0.84, 0.16]]), counts=seen, target=Target("panel", 11))
    found = {most: rates(consensus, rows, most=most, horizon=1)[0, 0] for most in (3, 10, 11)}
    missing = 1 - consensus.confidence("t0")[0]
    assert found[3] == found[10] == 0
    assert found[11] >= missing / 9  # more, since one may stop after the first


def test_a_model_without_rows_for_people_says_so() -> None:
    """Vote shares know nobody."""
    data = coded_from([("i0", "t", "ann", "a"), ("i0", "t", "bo", "b")], AB)
    model = Majority("people").fit(data)
    with pytest.raises(NotFittedError, match="no rows for people"):
        rows_of(model, model.predict(data))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"batch": 0}, "batch"),
        ({"horizon": 0}, "horizon"),
        ({"bar": 1.5}, "bar"),
        ({"loads": -1}, "load"),
        ({"loads": {"zoe": 1}}, "zoe"),
        ({"prices": Prices(of_task={"t9": 1.0})}, "t9"),
        ({"prices": Prices(of_annotator={"zoe": 1.0})}, "zoe"),
        ({"available": np.ones((3, 2), bool)}, "available"),
        ({"queue": np.zeros((3, 2), np.int64)}, "queue"),
        ({"queue": np.full((2, 2), 5)}, "queue"),
    ],
)
def test_bad_settings_are_named(options: dict[str, Any], said: str) -> None:
    """One error that says which."""
    consensus, rows = believed(np.array([[0.5, 0.5], [0.6, 0.4]])), people([fair(2), fair(2)])
    with pytest.raises(SettingError, match=said):
        acquire(consensus, rows, **options)


def test_a_value_is_no_bar() -> None:
    """One counts right answers, the other closed ones."""
    consensus, rows = believed(np.array([[0.5, 0.5]])), people([fair(2), fair(2)])
    value = learn_value(consensus, rows, most=1, campaigns=10)
    with pytest.raises(SettingError, match="not both"):
        acquire(consensus, rows, value=value, bar=0.9)
