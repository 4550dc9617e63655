"""What a model may look up in files beside the rubric: terms of a glossary, and passages by words (BM25)."""

from __future__ import annotations

import difflib
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64

from quorate.llm.wire import Tool

Array = np.ndarray
WORD = re.compile(r"\w+")
K1, B = 1.2, 0.75  # how soon repeated words count less; how much long passages are held back [robertson2009]
NEAR = 3  # terms that are named where there is no such term
MOST_PASSAGE = 1_200  # characters of a passage that are shown


@runtime_checkable
class Lookup(Protocol):
    """A tool: what a model is told of it, and what it answers."""

    @property
    def tool(self) -> Tool:
        """As it is declared to models."""
        ...

    def answer(self, arguments: Mapping[str, Any]) -> str:
        """What it returns; the same for the same arguments, so that a run that was killed goes on as it began."""
        ...


class Glossary:
    """Terms and what they mean.

    >>> words = Glossary({"AOV": "average order value", "SKU": "stock keeping unit"})
    >>> words.answer({"term": "aov"})
    'AOV: average order value'
    >>> words.answer({"term": "AOVs"})
    "there is no term 'AOVs'; near it: AOV"
    """

    def __init__(self, meanings: Mapping[str, str], name: str = "glossary", about: str = "") -> None:
        self._entries = {_folded(term): f"{term}: {meaning}" for term, meaning in meanings.items()}
        self._terms = {_folded(term): term for term in meanings}
        self.tool = Tool(name, about or "What a term means, by the glossary of this study.", _one_text("term"))

    def answer(self, arguments: Mapping[str, Any]) -> str:
        """The meaning of the term, in any case; where there is none, terms that are spelled alike."""
        term = _folded(arguments["term"])
        if term in self._entries:
            return self._entries[term]
        near = difflib.get_close_matches(term, list(self._terms), n=NEAR)
        named = f"; near it: {', '.join(self._terms[each] for each in near)}" if near else ""
        return f"there is no term {arguments['term']!r}{named}"


class Passages:
    """Passages found by words: sum over words w of the query of idf_w · f (k1 + 1) / (f + k1 (1 - b + b l / mean l)).

    f is how often w stands in the passage, l the passage's length in words, idf_w = ln(1 + (N - n_w + .5) / (n_w + .5))
    with n_w of the N passages holding w: Okapi BM25 [robertson2009].

    >>> Passages(["red apples", "green pears", "apples and pears"]).best("pears, green", 2)
    [1, 2]
    """

    def __init__(self, texts: Sequence[str], name: str = "search", about: str = "", n_shown: int = 3) -> None:
        self._texts, self._n_shown = texts, n_shown
        counts = [Counter(_words(text)) for text in texts]
        lengths = np.array([float(sum(count.values())) for count in counts])
        self._slack = K1 * (1 - B + B * lengths / max(lengths.mean() if len(texts) else 1.0, 1e-9))
        held: dict[str, list[tuple[int, int]]] = {}
        for place, count in enumerate(counts):
            for word, n in count.items():
                held.setdefault(word, []).append((place, n))
        self._held = {word: np.array(entries).T for word, entries in held.items()}
        self.tool = Tool(name, about or "Passages of the documents of this study, by words.", _one_text("query"))

    def scores(self, query: str) -> Float64[Array, "passages"]:
        """How well each passage fits the words of a query; 0 where it has none of them."""
        found = np.zeros(len(self._texts))
        for word in dict.fromkeys(_words(query)):
            if word in self._held:
                places, counts = self._held[word]
                rare = math.log1p((len(self._texts) - len(places) + 0.5) / (len(places) + 0.5))
                found[places] += rare * counts * (K1 + 1) / (counts + self._slack[places])
        return found

    def best(self, query: str, n: int) -> list[int]:
        """The places of the passages that fit best, of equals the first; none that has no word of the query."""
        scores = self.scores(query)
        order = np.lexsort((np.arange(len(scores)), -scores))[:n]
        return [int(place) for place in order if scores[place] > 0]

    def answer(self, arguments: Mapping[str, Any]) -> str:
        """The passages that fit best, numbered."""
        found = self.best(arguments["query"], self._n_shown)
        if not found:
            return "nothing was found"
        return "\n\n".join(f"{number}. {_cut(self._texts[place])}" for number, place in enumerate(found, start=1))


def _one_text(name: str) -> dict[str, Any]:
    """The form of arguments that are one text."""
    properties = {name: {"type": "string"}}
    return {"type": "object", "properties": properties, "required": [name], "additionalProperties": False}


def _words(text: str) -> list[str]:
    return WORD.findall(text.casefold())


def _folded(term: str) -> str:
    return " ".join(term.casefold().split())


def _cut(text: str) -> str:
    return text if len(text) <= MOST_PASSAGE else text[:MOST_PASSAGE].rsplit(" ", 1)[0] + " ..."
