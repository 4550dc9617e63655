"""The built-in optimizer: random search with successive halving over candidates, then over worked examples.

Every candidate is asked about a few items; the half that is likelier to hold the best goes on to twice as many, until
the last ones have answered all. Then the best of them are tried with worked examples. The same seed, answers and cap
give the same judge: nothing else is random, and a journal makes a second run free [karnin2013].
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64, Int64

from quorate.errors import SettingError
from quorate.judge.asking import Asker, Round, Space
from quorate.judge.calibrate import By, Calibrated, calibrate, shrunken_figures
from quorate.judge.candidates import Answered, Candidate
from quorate.judge.choose import survivors
from quorate.judge.examples import chosen_examples, restricted
from quorate.judge.map_choice import chosen_map, loss_of

Array = np.ndarray
FEWEST = 20  # items that a candidate is judged by at all


@dataclass(frozen=True)
class Halving:
    """The built-in optimizer.

    >>> Halving(first=25).rungs(200, 40)
    [(25, 40), (50, 20), (100, 10), (200, 5)]
    """

    most: int = 64  # candidates, drawn at random where the space holds more
    first: int = 50  # items of the first rung
    finalists: int = 4  # that are asked about all items, and the most that are tried with examples
    by: By = "agreement"
    folds: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value, least in (("most", self.most, 1), ("first", self.first, FEWEST), ("folds", self.folds, 2),
                                   ("finalists", self.finalists, 1)):  # fmt: skip
            if value < least:
                raise SettingError(f"{name} = {value}: it must be at least {least}")

    def search(self, asker: Asker, space: Space) -> Calibrated:
        """The best candidate under the cap. Raises SettingError where the cap ends before any has answered enough."""
        order = np.random.default_rng(self.seed).permutation(len(asker.items))
        candidates = self._drawn(space)
        best: list[Answered] = []
        stopped = False
        for n_items, n_kept in self.rungs(len(order), len(candidates)):
            candidates = self._kept(best, candidates, n_kept)
            done = asker.ask(candidates, order[:n_items])
            best, stopped = self._later(best, done), done.stopped
            if stopped:
                break
        if not stopped and space.examples:
            best, stopped = self._with_examples(asker, space, best, order)
        if not best:
            raise SettingError("the cap ended the search before any candidate had answered enough: raise the cap")
        found = calibrate(best, by=self.by, folds=self.folds, seed=self.seed)
        return replace(found, spent_usd=asker.spent_usd, calls=asker.calls, stopped=stopped)

    def rungs(self, n_items: int, n_candidates: int) -> list[tuple[int, int]]:
        """Items and candidates of each rung."""
        found: list[tuple[int, int]] = []
        asked, kept = min(self.first, n_items), n_candidates
        while True:
            found.append((asked, kept))
            if asked >= n_items:
                return found
            asked = n_items if kept <= self.finalists else min(2 * asked, n_items)
            kept = max(-(-kept // 2), min(self.finalists, n_candidates))

    # ---- rungs ------------------------------------------------------------------------------------------------------
    def _drawn(self, space: Space) -> list[Candidate]:
        every = space.candidates()
        if len(every) <= self.most:
            return every
        places = np.random.default_rng(self.seed).choice(len(every), self.most, replace=False)
        return [every[place] for place in np.sort(places).tolist()]

    def _kept(self, last: list[Answered], candidates: list[Candidate], n_kept: int) -> list[Candidate]:
        if not last or n_kept >= len(candidates):
            return candidates
        kept = survivors(shrunken_figures(last, by=self.by, folds=self.folds, seed=self.seed), n_kept)
        return [each.candidate for each, stays in zip(last, kept.tolist(), strict=True) if stays]

    def _later(self, before: list[Answered], done: Round) -> list[Answered]:
        """A whole rung; of one that the cap broke off the candidates that were asked everything, if it is the first."""
        if not done.stopped:
            return done.answered
        return before or [each for each in done.answered if _whole(each)]

    # ---- worked examples --------------------------------------------------------------------------------------------
    def _with_examples(
        self, asker: Asker, space: Space, best: list[Answered], order: Int64[Array, "items"]
    ) -> tuple[list[Answered], bool]:
        """The finalists, and beside them the same with examples; without those that the cap left unasked."""
        standing = shrunken_figures(best, by=self.by, folds=self.folds, seed=self.seed)
        top = np.lexsort((-standing.best, -standing.mean))[: self.finalists].tolist()
        back = np.argsort(order)
        more: list[Candidate] = []
        for place in top:
            losses = {task: loss[back] for task, loss in self._losses(best[place]).items()}
            for name in space.examples:
                barred = restricted(asker.items)
                shown = chosen_examples(name, asker.people, losses=losses, barred=barred, seed=self.seed)
                items = tuple(asker.items.ids[each] for each in shown)
                more.append(best[place].candidate._replace(examples=name, shown=items))
        more = [each for each in more if each.shown]
        if not more:
            return best, False
        done = asker.ask(more, order)
        return [*best, *(each for each in done.answered if not done.stopped or _whole(each))], done.stopped

    def _losses(self, answered: Answered) -> dict[str, Float64[Array, "items"]]:
        """How far a candidate was from people, item by item, as held out."""
        return {
            task: loss_of(graded, chosen_map(graded, folds=self.folds, seed=self.seed).held_out)
            for task, graded in answered.tasks.items()
        }


def _whole(answered: Answered) -> bool:
    """Whether a candidate said something of every item: it was asked them all before the cap."""
    return all(bool((graded.said >= 0).all()) for graded in answered.tasks.values())
