"""Laws of the ACT loss in PyTorch: equal to its formula, to cross-entropy on corrected labels, to its rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch.nn.functional import cross_entropy

from quorate.act.budget import RULES, sample
from quorate.act.losses import ACTLoss, trainer_class
from quorate.act.rows import rows
from quorate.act.variance import act_loss
from quorate.errors import SettingError

N, K = 60, 3


def batch(rule: str = "exponential", seed: int = 0):
    rng = np.random.default_rng(seed)
    outputs = torch.tensor(rng.normal(size=(N, K)), requires_grad=True)
    machine, truth = rng.integers(0, K, N), rng.integers(0, K, N)
    weight = sample(rng.random(N), 20, rule, rng=rng, beta=5.0).correction()
    human = np.where(weight > 0, truth, -100)
    return outputs, *(torch.as_tensor(part) for part in (machine, human, weight))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("lambda_", [0.0, 0.6, 1.0])
def test_the_loss_is_its_formula_for_every_rule(rule: str, lambda_: float) -> None:
    """λ ℓ^m + w (ℓ - λ ℓ^m), equations 21 to 23; mean and sum are those of the items."""
    outputs, machine, human, weight = batch(rule)
    told = cross_entropy(outputs, machine, reduction="none").detach().numpy()
    truth = cross_entropy(outputs, human.clamp(min=0), reduction="none").detach().numpy()
    expected = act_loss(told, truth, weight.numpy(), lambda_)
    one, total, mean = (
        ACTLoss(lambda_=lambda_, reduction=r)(outputs, machine, human, weight) for r in ("none", "sum", "mean")
    )
    assert one.detach().numpy() == pytest.approx(expected, rel=1e-12)
    assert total.item() == pytest.approx(expected.sum(), rel=1e-12)
    assert mean.item() == pytest.approx(expected.mean(), rel=1e-12)


def test_thresholding_with_lambda_1_is_cross_entropy_on_the_corrected_labels() -> None:
    """To 1e-12, value and gradient, soft labels too."""
    outputs, machine, human, weight = batch("thresholding")
    corrected = torch.where(weight > 0, human, machine)
    for soft in (False, True):
        labels = [each if not soft else torch.nn.functional.one_hot(each, K).double() for each in (machine, corrected)]
        of = cross_entropy(outputs, labels[1])
        mine = ACTLoss()(outputs, labels[0], labels[1], weight)
        (wanted,), (found,) = torch.autograd.grad(of, outputs), torch.autograd.grad(mine, outputs)
        assert abs(mine.item() - of.item()) < 1e-12
        assert (wanted - found).abs().max().item() < 1e-12


def test_labels_that_nobody_gave_are_not_looked_at() -> None:
    """NaN and -100 where the weight is 0 change nothing, not even a gradient; a batch without reviews works."""
    outputs, machine, human, weight = batch()
    soft = torch.nn.functional.one_hot(human.clamp(min=0), K).double()
    soft[weight == 0] = torch.nan
    loss = ACTLoss()(outputs, machine, soft, weight)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(outputs.grad).all()
    assert loss.item() == pytest.approx(ACTLoss()(outputs, machine, human, weight).item(), rel=1e-12)
    none = ACTLoss()(outputs, machine, human, torch.zeros(N))
    assert none.item() == pytest.approx(cross_entropy(outputs, machine).item())


def test_any_loss_with_one_value_per_item_will_do() -> None:
    """Squared error of a regression; a loss that is a mean already is refused."""
    outputs = torch.tensor([[1.0], [2.0]])
    squared = ACTLoss(lambda y, t: ((y - t) ** 2).squeeze(1), reduction="sum")
    target = torch.tensor([[0.0], [0.0]])
    assert squared(outputs, target, target + 1, torch.tensor([0.0, 2.0])).item() == pytest.approx(1 + 4 + 2 * (1 - 4))
    with pytest.raises(SettingError, match="one value per item"):
        ACTLoss(cross_entropy)(*batch())


def test_the_mean_over_many_draws_is_the_loss_on_human_labels() -> None:
    """E[loss] = loss with everything reviewed, within four standard errors, of value and of gradient."""
    rng = np.random.default_rng(3)
    outputs, machine, _, _ = batch()
    truth = torch.as_tensor(rng.integers(0, K, N))
    errors = np.clip(rng.random(N), 0.1, 0.9)
    draws = []
    for _ in range(400):
        weight = torch.as_tensor(sample(errors, 25, "optimal", rng=rng).correction())
        (grad,) = torch.autograd.grad(ACTLoss()(outputs, machine, truth, weight), outputs)
        draws.append(grad.sum(dim=0).numpy())
    (exact,) = torch.autograd.grad(cross_entropy(outputs, truth), outputs)
    se = np.std(draws, axis=0) / 400**0.5
    assert (np.abs(np.mean(draws, axis=0) - exact.sum(dim=0).numpy()) < 4 * se).all()


# ---- rows -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("rule", RULES)
def test_rows_carry_the_same_loss(rule: str) -> None:
    """The weighted sum over rows is the sum of the ACT loss, for any outputs."""
    outputs, machine, human, weight = batch(rule)
    found = rows(machine.numpy(), human.numpy(), weight.numpy(), 0.7)
    of = cross_entropy(outputs[found.item], torch.as_tensor(found.label), reduction="none").detach().numpy()
    whole = ACTLoss(lambda_=0.7, reduction="sum")(outputs, machine, human, weight)
    assert of @ found.weight == pytest.approx(whole.item(), rel=1e-10)


def test_a_linear_model_fitted_to_rows_is_at_the_lowest_point_of_the_act_loss() -> None:
    """Negative weights included: no gradient is left, and no step from there goes down."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(300, 4))
    truth = (x @ rng.normal(size=(4, K)) + rng.gumbel(size=(300, K))).argmax(axis=1)
    wrong = rng.random(300) < 0.3
    machine = np.where(wrong, rng.integers(0, K, 300), truth)
    weight = sample(np.where(wrong, 0.6, 0.2), 80, "optimal", rng=rng).correction()
    found = rows(machine, truth, weight)
    assert (found.weight < 0).any()
    model = found.fit(LogisticRegression(C=1.0, max_iter=5_000, tol=1e-8), x)
    slopes = torch.tensor(model.coef_, requires_grad=True)
    logits = torch.as_tensor(x) @ slopes.T + torch.as_tensor(model.intercept_)
    parts = [torch.as_tensor(part) for part in (machine, truth, weight)]
    loss = ACTLoss(reduction="sum")(logits, *parts) + 0.5 * (slopes**2).sum()
    (left,) = torch.autograd.grad(loss, slopes)
    assert left.abs().max().item() < 1e-3 * 300


def test_negative_weights_are_kept_clipped_or_refused_as_asked() -> None:
    """Clipping says how much; thresholding and λ = 0 have none; agreeing labels are one row that is never negative."""
    _, machine, human, weight = (part.detach().numpy() for part in batch("normalization"))
    kept, cut = rows(machine, human, weight), rows(machine, human, weight, negative="clip")
    below = -kept.weight[kept.weight < 0].sum()
    assert below > 0
    assert cut.clipped == pytest.approx(below / np.abs(kept.weight).sum())
    assert (cut.weight > 0).all()
    with pytest.raises(SettingError, match="clip"):
        rows(machine, human, weight, negative="refuse")
    assert (rows(machine, human, weight, 0.0, negative="refuse").weight > 0).all()
    assert (rows(machine, human, np.minimum(weight, 1.0), negative="refuse").weight > 0).all()
    assert rows(np.array([1]), np.array([1]), np.array([3.0])).weight.tolist() == [1.0]


# ---- Trainer ----------------------------------------------------------------------------------------------------
class Tiny(torch.nn.Module):
    """A linear classifier in the form that transformers wants."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear = torch.nn.Linear(4, K)

    def forward(self, x):
        """Logits."""
        return {"logits": self.linear(x)}


def features(n: int = 32) -> list[dict]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 4)).astype(np.float32)
    return [
        {"x": x[i], "machine_label": i % K, "human_label": (i + i % 2) % K, "review_weight": float(i % 4 == 1) * 2}
        for i in range(n)
    ]


@pytest.mark.slow
def test_a_trainer_trains_with_the_loss(tmp_path) -> None:
    """One step over the whole set, in one batch or by accumulation, goes where the gradient of the ACT loss points."""
    pytest.importorskip("accelerate")
    from transformers import TrainingArguments

    data = features()
    columns = {name: torch.as_tensor(np.array([row[name] for row in data])) for name in data[0]}
    by_hand = Tiny()
    parts = (columns["machine_label"], columns["human_label"], columns["review_weight"])
    ACTLoss(lambda_=0.8)(by_hand(columns["x"])["logits"], *parts).backward()
    expected = by_hand.linear.weight - 0.1 * by_hand.linear.weight.grad
    for steps in (1, 4):
        options = TrainingArguments(
            str(tmp_path), max_steps=1, per_device_train_batch_size=32 // steps, gradient_accumulation_steps=steps,
            learning_rate=0.1, lr_scheduler_type="constant", optim="sgd", max_grad_norm=0.0, report_to=[], use_cpu=True,
            remove_unused_columns=False, disable_tqdm=True, save_strategy="no", logging_strategy="no",
        )  # fmt: skip
        model = Tiny()
        trainer_class(ACTLoss(lambda_=0.8))(model=model, args=options, train_dataset=data).train()
        assert torch.allclose(model.linear.weight, expected, atol=1e-6)


def test_a_batch_without_the_labels_says_what_to_do() -> None:
    """Trainer drops columns that the model does not read, unless it is told."""
    with pytest.raises(SettingError, match="remove_unused_columns=False"):
        ACTLoss().compute_loss(Tiny(), {"x": torch.zeros(2, 4)})
    with pytest.raises(SettingError, match="mean"):
        trainer_class(ACTLoss(reduction="sum"))


@pytest.mark.parametrize(("wrong", "says"), [({"lambda_": 1.5}, "lambda"), ({"reduction": "max"}, "reduction")])
def test_settings_outside_their_range_are_refused(wrong: dict, says: str) -> None:
    """By name."""
    with pytest.raises(Exception, match=says):
        ACTLoss(**wrong)
