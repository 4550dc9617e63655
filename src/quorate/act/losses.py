"""Training a PyTorch model on labels by a machine that people have reviewed in part: the ACT loss [lin2025act].

    L = (1/N) Σ λ ℓ(f(x_i), ŷ^m_i) + w_i (ℓ(f(x_i), y_i) - λ ℓ(f(x_i), ŷ^m_i))          equations 21, 22 and 23

w_i is what `quorate.act.budget.correction` says of the item: δ/π for normalization, exponential weighting and the
optimal rule, δ for thresholding; 0 where nobody reviewed. ℓ is any loss with one value per item; labels may be class
codes or probabilities per class. Where λ = 1 and w = δ, it is ℓ on the corrected labels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from quorate.act.variance import check_lambda
from quorate.errors import MissingExtraError, SettingError

Reduction = Literal["mean", "sum", "none"]
PerItem = Callable[[Any, Any], Any]  # outputs, labels -> one loss per item
FIELDS = ("machine_label", "human_label", "review_weight")  # of a batch, beside what the model reads


@dataclass(frozen=True)
class ACTLoss:
    """The loss as a function of the model's outputs; it has no parameters and lives on the outputs' device.

    loss: one value per item; cross-entropy of logits where none is given. Raises SettingError for a lambda outside
    [0, 1] or an unknown reduction.

    >>> import torch
    >>> logits = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    >>> machine, human, weight = torch.tensor([0, 0]), torch.tensor([-1, 1]), torch.tensor([0.0, 1.0])
    >>> corrected = torch.nn.functional.cross_entropy(logits, torch.tensor([0, 1]))
    >>> bool(torch.isclose(ACTLoss()(logits, machine, human, weight), corrected))
    True
    """

    loss: PerItem | None = None
    lambda_: float = 1.0
    reduction: Reduction = "mean"

    def __post_init__(self) -> None:
        check_lambda(self.lambda_)
        if self.reduction not in {"mean", "sum", "none"}:
            raise SettingError(f"reduction must be mean, sum or none, not {self.reduction!r}")

    def __call__(self, outputs: Any, machine: Any, human: Any, weight: Any) -> Any:
        """The loss of a batch; human labels of weight 0 may be anything, -100 and NaN too."""
        of = self.loss or _cross_entropy()
        told = _per_item(of, outputs, machine)
        total = self.lambda_ * (1.0 - weight.to(told.dtype)) * told
        seen = weight > 0
        if bool(seen.any()):
            mended = _per_item(of, outputs[seen], human[seen])
            total = total.index_add(0, seen.nonzero().squeeze(1), weight[seen].to(told.dtype) * mended)
        if self.reduction == "none":
            return total
        return total.mean() if self.reduction == "mean" else total.sum()

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,  # noqa: ARG002 - the signature of transformers
    ) -> Any:
        """What `transformers.Trainer.compute_loss` is to do with a batch that carries machine_label, human_label and
        review_weight: the mean over the batch. Raises SettingError where they are missing.
        """
        missing = [name for name in FIELDS if name not in inputs]
        if missing:
            raise SettingError(
                f"the batch has no {missing[0]!r}; give it in the data set, with remove_unused_columns=False in the "
                "TrainingArguments"
            )
        outputs = model(**{name: value for name, value in inputs.items() if name not in {*FIELDS, "labels"}})
        logits = outputs["logits"] if isinstance(outputs, dict) else outputs[0]
        loss = self(logits, *(inputs[name] for name in FIELDS))
        return (loss, outputs) if return_outputs else loss


def trainer_class(criterion: ACTLoss, base: type[Any] | None = None) -> type[Any]:
    """A `transformers.Trainer` (or a class of yours that is one) that trains with this loss.

    Its data set gives machine_label, human_label and review_weight beside what the model reads; the TrainingArguments
    need remove_unused_columns=False. Raises MissingExtraError without transformers, SettingError for reductions other
    than the mean.
    """
    if criterion.reduction != "mean":
        raise SettingError("a Trainer needs the mean over a batch: ACTLoss(reduction='mean')")
    found = base or _trainer()

    def compute_loss(_self: Any, model: Any, inputs: dict[str, Any], **options: Any) -> Any:
        return criterion.compute_loss(model, inputs, **options)

    return type("ACTTrainer", (found,), {"compute_loss": compute_loss, "loss_is_scaled_for_ga": False})


def _trainer() -> type[Any]:
    try:
        from transformers import Trainer
    except ImportError:
        raise MissingExtraError("transformers", "local") from None
    return Trainer


def _cross_entropy() -> PerItem:
    try:
        from torch.nn.functional import cross_entropy
    except ImportError:
        raise MissingExtraError("torch", "local") from None
    return lambda outputs, labels: cross_entropy(outputs, labels, reduction="none")


def _per_item(of: PerItem, outputs: Any, labels: Any) -> Any:
    found = of(outputs, labels)
    if tuple(found.shape) != (len(outputs),):
        raise SettingError(
            f"the loss has shape {tuple(found.shape)} for {len(outputs)} items: it must give one value per item, as "
            "reduction='none' does"
        )
    return found
