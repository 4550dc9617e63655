"""Logits of models on this machine, against the same worked out by hand, one prompt at a time."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from quorate.errors import MissingExtraError, SettingError
from quorate.llm.annotate import annotate
from quorate.llm.calls import Job
from quorate.llm.failures import BadRequestError
from quorate.llm.items import Items
from quorate.llm.journal import Journal
from quorate.llm.ledger import Ledger, Price
from quorate.llm.local import LocalModel, plain_text
from quorate.llm.local_client import LocalClient
from quorate.llm.rubric_file import parse_rubric
from quorate.llm.settings import Settings
from quorate.llm.wire import Answer, Message, Request
from tiny import causal, encoder_decoder

MAKERS: dict[str, Callable[[], LocalModel]] = {
    "llama": causal,
    "gpt2": lambda: causal("gpt2"),
    "llama with a chat form": lambda: causal(chat=True),
    "t5": encoder_decoder,
}
TEXTS = ("Short.", "A much longer text, that speaks of many things, and of some of them twice.", "", "Ä 🧨 {{x}}", "no")
TALKS = [(Message("system", "Label it."), Message("user", text)) for text in TEXTS]


def next_logits(model: LocalModel, prompt: tuple[int, ...], said: tuple[int, ...] = ()) -> np.ndarray:
    """The logits behind one prompt and what was said after it: no batch, no padding."""
    import torch

    with torch.no_grad():
        if model.is_encoder_decoder:
            start = model.model.config.decoder_start_token_id
            out = model.model(input_ids=torch.tensor([prompt]), decoder_input_ids=torch.tensor([[start, *said]]))
        else:
            out = model.model(input_ids=torch.tensor([[*prompt, *said]]))
    return out.logits[0, -1].double().numpy()


def by_hand(model: LocalModel, prompt: tuple[int, ...], labels: tuple[str, ...]) -> np.ndarray:
    """Softmax over the vocabulary, the spellings of each label added up, the labels made to sum to 1."""
    logits = next_logits(model, prompt)
    whole = np.exp(logits - logits.max())
    whole /= whole.sum()
    ids = [{tokens[0] for text in (label, f" {label}") if len(tokens := encoded(model, text)) == 1} for label in labels]
    sums = np.array([sum(whole[token] for token in tokens) for tokens in ids])
    return sums / sums.sum()


def encoded(model: LocalModel, text: str) -> list[int]:
    return model.tokenizer(text, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("labels", [("A", "B"), ("yes", "no"), ("1", "2", "3")])
def test_scores_are_those_worked_out_by_hand(maker: str, labels: tuple[str, ...]) -> None:
    """P(label) from the logits right behind the prompt; to 1e-5, through batches of prompts of unlike length."""
    model = MAKERS[maker]()
    found = model.scores(TALKS, labels)
    expected = np.array([by_hand(model, model.prompt(talk), labels) for talk in TALKS])
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=0)
    assert np.ptp(found[:, 0]) > 1e-3  # the prompts do differ


@pytest.mark.parametrize("maker", MAKERS)
def test_a_batch_gives_what_its_prompts_give_one_by_one(maker: str) -> None:
    """Padding changes nothing, whatever the order and the size of the batch."""
    model = MAKERS[maker]()
    whole = model.scores(TALKS, ("A", "B"))
    alone = np.concatenate([model.scores([talk], ("A", "B")) for talk in TALKS])
    np.testing.assert_allclose(whole, alone, atol=1e-6, rtol=0)
    np.testing.assert_allclose(model.scores(TALKS[::-1], ("A", "B"))[::-1], alone, atol=1e-6, rtol=0)


@pytest.mark.parametrize("maker", MAKERS)
def test_labels_of_several_tokens_are_scored_as_the_chain_of_their_tokens(maker: str) -> None:
    """By hand: log P(t1 t2 t3) = sum of log P(t_j | before)."""
    model = MAKERS[maker]()
    labels = ("101", "102", "117")
    prompts = [model.prompt(talk) for talk in TALKS[:3]]
    spellings = model.spellings(labels)
    assert [len(each.tokens) for each in spellings] == [4, 4, 4]  # the space, and three digits
    found = model.log_probs(prompts, spellings)
    for row, prompt in enumerate(prompts):
        for column, each in enumerate(spellings):
            total = 0.0
            for place, token in enumerate(each.tokens):
                logits = next_logits(model, prompt, each.tokens[:place])
                total += logits[token] - logits.max() - math.log(np.exp(logits - logits.max()).sum())
            assert found[row, column] == pytest.approx(total, abs=1e-4)


def test_renaming_labels_renames_scores() -> None:
    """Their order means nothing."""
    model = causal()
    np.testing.assert_allclose(model.scores(TALKS, ("A", "B")), model.scores(TALKS, ("B", "A"))[:, ::-1], atol=1e-12)


def test_the_prompt_is_the_chat_of_the_model_or_plain_text() -> None:
    """Special marks stand once; a form without a system message gets it before the first turn."""
    chatty = causal(chat=True)
    text = chatty.tokenizer.decode(list(chatty.prompt(TALKS[0])))
    assert text == "<system>Label it.\n<user>Short.\n<assistant>"
    chatty.tokenizer.chat_template = (
        "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
        "{% for m in messages %}[{{ m['content'] }}]{% endfor %}"
    )
    assert chatty.tokenizer.decode(list(chatty.prompt(TALKS[0]))) == "[Label it.\n\nShort.]"
    plain = causal()
    tokens = plain.prompt(TALKS[0])
    assert tokens.count(plain.tokenizer.bos_token_id) == 1
    assert plain_text([*TALKS[0], Message("assistant", "A"), *TALKS[0]]).count("Answer:") == 2


def test_labels_that_the_tokenizer_cannot_tell_apart_are_refused() -> None:
    """And those that it has no tokens for."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    unknown = {"unk_token": "<unk>"}
    words = Tokenizer(models.WordLevel({"<unk>": 0, "A": 1}, **unknown))
    model = LocalModel(causal().model, PreTrainedTokenizerFast(tokenizer_object=words, **unknown))
    with pytest.raises(SettingError, match="no tokens for the label 'B'"):
        model.spellings(("A", "B"))
    with pytest.raises(SettingError, match="alike"):
        causal().spellings(("A", "A"))


def saved(model: LocalModel, folder: Path) -> str:
    model.model.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("maker", ["llama", "t5"])
def test_a_saved_model_is_loaded_as_what_it_is(maker: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """By its folder, causal or encoder-decoder, with the same scores; in the numbers that are asked for."""
    model = MAKERS[maker]()
    name = saved(model, tmp_path)
    capfd.readouterr()
    loaded = LocalModel.load(name, device="cpu")
    assert capfd.readouterr().err == ""  # a library prints nothing
    assert loaded.is_encoder_decoder == model.is_encoder_decoder
    np.testing.assert_allclose(loaded.scores(TALKS, ("A", "B")), model.scores(TALKS, ("A", "B")), atol=1e-6)
    coarse = LocalModel.load(name, device="cpu", dtype="bfloat16")
    assert str(coarse.model.dtype) == "torch.bfloat16"
    np.testing.assert_allclose(coarse.scores(TALKS, ("A", "B")).sum(axis=1), 1.0)


def test_a_model_or_device_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, with the name."""
    with pytest.raises(SettingError, match="cannot be loaded"):
        LocalModel.load(str(tmp_path / "nothing"))
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SettingError, match="cuda"):
        LocalModel.load("any", device="cuda")
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"quorate\[local\]"):
        LocalModel.load("any")


@pytest.mark.gpu
def test_an_accelerator_gives_what_the_processor_gives() -> None:
    """To the rounding of its numbers."""
    model = causal()
    here = model.scores(TALKS, ("A", "B"))
    np.testing.assert_allclose(
        LocalModel(model.model.to("cuda"), model.tokenizer).scores(TALKS, ("A", "B")), here, atol=1e-4
    )


# ---- behind the protocol of a server --------------------------------------------------------------------------------

RUBRIC = parse_rubric("""
tasks:
  - {name: tone, classes: [calm, angry]}
  - {name: safe, kind: yes-no}
""")
NAME = "local:tiny"
ITEMS = Items(tuple(f"i{n}" for n in range(len(TEXTS))), {"text": TEXTS}, {})


@pytest.mark.parametrize("maker", ["llama", "t5"])
@pytest.mark.parametrize("thinking", ["none", "steps"])
def test_a_labeling_by_a_local_model_keeps_its_scores(maker: str, thinking: str) -> None:
    """Through requests, journal and reading, the scores are the model's own, and a second run asks nothing."""
    model = MAKERS[maker]()
    rubric = parse_rubric(
        f"thinking: {thinking}\ntasks:\n  - {{name: tone, classes: [calm, angry]}}\n  - {{name: safe, kind: yes-no}}"
    )
    job = Job(ITEMS, rubric, (NAME,), Settings(reasoning_tokens=8))
    ledger = Ledger({NAME: Price(0.0, 0.0, "", "")})
    with Journal() as journal:
        done = annotate(job, LocalClient({NAME: model}), journal=journal, ledger=ledger)
        again = annotate(job, LocalClient({}), journal=journal, ledger=ledger)
    assert not done.failures
    for task, question in enumerate(rubric.questions):
        found = done.tally.cells[0, task].probs
        np.testing.assert_array_equal(again.tally.cells[0, task].probs, found)
        sheet = job.sheets(NAME)[task]
        prompts = [model.prompt(sheet.messages(ITEMS.content(place))) for place in range(len(ITEMS))]
        if thinking == "none":
            expected = np.array([by_hand(model, prompt, question.ids) for prompt in prompts])
            np.testing.assert_allclose(found, expected, atol=1e-5)
        assert (found.argmax(axis=1) == done.tally.cells[0, task].code).all()


def test_reasoning_is_written_first_and_the_label_stands_behind_it() -> None:
    """The scores are those behind the prompt, the thoughts and the word that leads to the answer, by hand."""
    model = causal()
    rubric = parse_rubric("thinking: steps\ntasks: [{name: tone, classes: [calm, angry]}]")
    job = Job(ITEMS, rubric, (NAME,), Settings(reasoning_tokens=6))
    with Journal() as journal:
        ledger = Ledger({NAME: Price(0.0, 0.0, "", "")})
        done = annotate(job, LocalClient({NAME: model}), journal=journal, ledger=ledger)
    prompt = model.prompt(job.sheets(NAME)[0].messages(ITEMS.content(0)))
    thought: tuple[int, ...] = ()
    for _ in range(100):
        token = int(next_logits(model, prompt, thought).argmax())
        if token == model.tokenizer.eos_token_id or len(thought) == model_most(job):
            break
        thought = (*thought, token)
    bridge = tuple(encoded(model, "\nAnswer:"))
    kept = tuple(token for token in thought if token not in model.tokenizer.all_special_ids)
    expected = by_hand(model, (*prompt, *kept, *bridge), ("A", "B"))
    np.testing.assert_allclose(done.tally.cells[0, 0].probs[0], expected, atol=1e-4)
    assert done.tally.cells[0, 0].reasoning.get(0, "") == model.tokenizer.decode(list(kept)).strip()


def model_most(job: Job) -> int:
    return job.sheets(NAME)[0].most_tokens(job.settings.reasoning_tokens)


def test_what_a_local_model_cannot_answer_fails_alone() -> None:
    """A prompt too long, an unknown model, a schema without one question; the others of the batch are answered."""
    model = causal()
    client = LocalClient({NAME: model})
    schema = {"type": "string", "enum": ["A", "B"]}
    short = Request(NAME, TALKS[0], 8, 0.0, 20, schema)
    long = short._replace(messages=(Message("user", "x" * 5_000),))
    two = short._replace(schema={"type": "object", "properties": {"a": schema, "b": schema}})
    picture = short._replace(messages=(Message("user", [{"type": "image_url", "image_url": {"url": "data:,"}}]),))

    async def all_of() -> list[object]:
        asked = (short, long, two, picture, short._replace(model="other"))
        return await asyncio.gather(*map(client.send, asked), return_exceptions=True)

    answer, *failed = asyncio.run(all_of())
    assert isinstance(answer, Answer)
    assert answer.text.strip() in {"A", "B"}
    assert all(isinstance(each, BadRequestError) for each in failed)
    for words, each in zip(("tokens; the model reads", "one question", "image", "no model"), failed, strict=True):
        assert words in str(each)


def test_a_local_verifier_checks_labels_of_a_server() -> None:
    """Its yes and no, from its logits, are the confidence [hovsepian2024], section 4.2."""
    from quorate.llm.client import ChatClient
    from quorate.llm.ledger import read_prices
    from quorate.llm.testing.replies import Row
    from quorate.llm.testing.server import FakeServer

    model = causal()
    rubric = parse_rubric("tasks: [{name: tone, classes: [calm, angry]}]")
    table = [Row(text or "(empty)", None, None, {"tone": [0.3, 0.7]}, None) for text in TEXTS]
    job = Job(ITEMS, rubric, ("fake-small",), Settings(confidence="verifier", verifier=NAME))
    with FakeServer(table=table) as server, Journal() as journal:
        ledger = Ledger({**read_prices(), NAME: Price(0.0, 0.0, "", "")})
        done = annotate(job, ChatClient(server.url), local=LocalClient({NAME: model}), journal=journal, ledger=ledger)
    assert not done.failures
    cells = done.tally.cells[0, 0]
    assert (cells.code == 1).all()
    request = job.verifiers[0].request(ITEMS.content(0), 1)
    right = by_hand(model, model.prompt(request.messages), ("yes", "no"))[0]
    np.testing.assert_allclose(cells.probs[0], [1 - right, right], atol=1e-5)
