"""Tiny models and a tokenizer of transformers, with random weights, made in a moment."""

from __future__ import annotations

from typing import Any

from quorate.llm.local import LocalModel

CHAT = (
    "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def tokenizer(*, chat: bool = False) -> Any:
    """Bytes, and the spaces before a few labels as tokens of their own; begins every text with a mark."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = ["<pad>", "<s>", "</s>", *alphabet, "ĠA", "ĠB", "ye", "yes", "no"]
    vocab = {word: place for place, word in enumerate(words)}
    merges = [("Ġ", "A"), ("Ġ", "B"), ("y", "e"), ("ye", "s"), ("n", "o")]
    made = Tokenizer(models.BPE(vocab, merges))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", vocab["<s>"])])
    marks = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>"}
    return PreTrainedTokenizerFast(tokenizer_object=made, chat_template=CHAT if chat else None, **marks)


def causal(kind: str = "llama", *, seed: int = 0, chat: bool = False, batch: int = 4) -> LocalModel:
    """A causal model: rotated positions (llama) or learned ones (gpt2)."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

    words = tokenizer(chat=chat)
    torch.manual_seed(seed)
    if kind == "gpt2":
        model: Any = GPT2LMHeadModel(
            GPT2Config(vocab_size=len(words), n_embd=32, n_layer=2, n_head=4, n_positions=4_096, initializer_range=0.3)
        )
    else:
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(words), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
                num_key_value_heads=2, max_position_embeddings=4_096, initializer_range=0.3,
            )
        )  # fmt: skip
    return LocalModel(model.eval(), words, batch)


def encoder_decoder(*, seed: int = 0, batch: int = 4) -> LocalModel:
    """A model that reads the prompt by an encoder (T5)."""
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    words = tokenizer()
    torch.manual_seed(seed)
    config = T5Config(
        vocab_size=len(words), d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, decoder_start_token_id=0,
        pad_token_id=0, eos_token_id=2, initializer_factor=3.0,
    )  # fmt: skip
    return LocalModel(T5ForConditionalGeneration(config).eval(), words, batch)
