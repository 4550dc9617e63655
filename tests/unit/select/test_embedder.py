"""Embeddings by a model of transformers: a tiny one with random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from quorate.errors import SettingError
from quorate.select.embedder import Embedder, embedded_by
from tiny import tokenizer

TEXTS = ["a kettle", "the train from the north was late again", "", "x" * 400, "a kettle"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved encoder that reads 64 tokens."""
    torch = pytest.importorskip("torch")
    from transformers import BertConfig, BertModel

    words, place = tokenizer(), tmp_path_factory.mktemp("encoder")
    torch.manual_seed(0)
    config = BertConfig(vocab_size=len(words), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
                        intermediate_size=64, max_position_embeddings=64)  # fmt: skip
    BertModel(config).save_pretrained(place)
    words.save_pretrained(place)
    return place


def test_a_text_lies_where_it_lies_whatever_is_in_its_batch(folder: Path) -> None:
    """By itself, in a batch of two and in one of all; of length 1; too long a text is cut, an empty one is read."""
    of = Embedder.load(str(folder))
    whole = of.rows(TEXTS)
    np.testing.assert_allclose(np.linalg.norm(whole, axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(whole[0], whole[4], atol=1e-6)
    for size in (1, 2):
        np.testing.assert_allclose(Embedder(of.model, of.tokenizer, size).rows(TEXTS), whole, atol=1e-5)
    assert abs(whole[0] - whole[1]).max() > 1e-3


def test_it_is_the_mean_over_the_tokens_that_are_there(folder: Path) -> None:
    """Against the last layer, token by token."""
    import torch

    of = Embedder.load(str(folder))
    with torch.inference_mode():
        last = of.model(**of.tokenizer("a kettle", return_tensors="pt").to("cpu")).last_hidden_state[0]
    mean = last.mean(dim=0).numpy()
    np.testing.assert_allclose(of.rows(["a kettle", TEXTS[1]])[0], mean / np.linalg.norm(mean), atol=1e-5)


def test_what_was_computed_is_kept_under_its_texts(folder: Path, tmp_path: Path, monkeypatch) -> None:
    """The same texts load nothing again; others do."""
    first = embedded_by(str(folder), {"text": TEXTS, "title": TEXTS}, tmp_path)
    monkeypatch.setattr(Embedder, "load", lambda _: pytest.fail("loaded again"))
    np.testing.assert_array_equal(embedded_by(str(folder), {"text": TEXTS, "title": TEXTS}, tmp_path), first)
    monkeypatch.undo()
    assert len(embedded_by(str(folder), {"text": TEXTS[:2]}, tmp_path)) == 2
    assert len(list(tmp_path.glob("embeddings-*.npy"))) == 2


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    """In one line."""
    with pytest.raises(SettingError, match="cannot be loaded"):
        embedded_by(str(tmp_path / "none"), {"text": TEXTS}, tmp_path)
