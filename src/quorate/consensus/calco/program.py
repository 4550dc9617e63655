"""The probabilistic program of `calco` in Pyro: model and guide over the same sites. Torch is imported here alone.

The bound of one step, on a minibatch B of N items, is

    N / |B| sum_B (E log p(obs_i | q_i, rows) - KL(Q(q_i) || p(q_i)))
    + log p(psi | base, pi) - sum KL(Q(rows) || p(rows)) + log p(mu, sigma, L, lambda)

with log p(obs_i) = sum_t logsumexp_k (log theta_itk + log p(labels, scores | k)), and log p(psi | base, pi) =
sum_m logsumexp_f (log pi_f + sum_tk log Dirichlet(psi_mtk; gamma base_ftk)) where families are unknown. Source:
Algorithm 1 of [nguyen2026].
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyro
import torch
from pyro import distributions as dist
from torch.distributions import constraints

from quorate.consensus.calco.learned import Encoder, Learned, Rows
from quorate.consensus.calco.problem import START_CONCENTRATION, Group, Problem, people_prior, row_prior

if TYPE_CHECKING:
    from quorate.consensus.calco import Calco

Tensor = Any  # torch carries no axes that our checks could read
Array = np.ndarray
MOST_POINTS = 512  # of q per step with guide "items", shifted anew at every step
POINTS_PER_COMPONENT = 32
TRAINING_BATCH = 256  # at most, with guide "items"
EDGE = 1e-6  # of the unit interval: beyond it a normal point has no place in single precision
LEAST = 1e-6  # a probability of a row in single precision
WEIGHTS = (1e-3, 1e7)  # of a Dirichlet guide, least and most
SURE = 30.0  # start of the total Dirichlet weight of a model's row
MEAN_SD = 2.0
SIGMA_SCALE = (math.log(1.5), 0.7)  # log-normal
CONCENTRATION_SCALE = (math.log(3.0), 1.0)


@dataclass(frozen=True)
class _Tensors:
    """One group on the device."""

    n_classes: int
    components: Tensor
    log_scores: Tensor
    spoken: Tensor
    begin: Tensor
    task: Tensor
    annotator: Tensor
    label: Tensor
    people_prior: Tensor
    models_prior: Tensor


class Program:
    """Model and guide of one problem, on one device."""

    def __init__(self, problem: Problem, options: Calco, device: torch.device) -> None:
        self._problem, self._options, self._device = problem, options, device
        self._groups = tuple(self._on_device(group) for group in problem.groups)
        self._encoded = self._tensor(problem.encoded)
        sobol = torch.quasirandom.SobolEngine(max(problem.n_components, 1), scramble=True, seed=options.seed)
        n_points = min(MOST_POINTS, POINTS_PER_COMPONENT * (1 + problem.n_components))
        self._sobol = sobol.draw(1 << (n_points - 1).bit_length()).to(device)
        self._n_families = self._families()
        self._known = None if problem.family is None else torch.as_tensor(problem.family, device=device)
        self._encoder = Network(self._encoded.shape[1], options.hidden, problem.n_components).to(device)

    def batch(self, generator: torch.Generator) -> Tensor:
        """A random minibatch of items."""
        n_items, size = self._problem.n_items, self._options.batch
        size = size if self._options.guide == "scores" else min(size, TRAINING_BATCH)
        if n_items <= size:
            return torch.arange(n_items, device=self._device)
        return torch.randperm(n_items, generator=generator)[:size].to(self._device)

    # ---- the model ----------------------------------------------------------------------------------------------
    def model(self, batch: Tensor) -> None:
        """Sections 4.1 to 4.4, truth and archetypes summed out."""
        mean, scale_tril = self._prevalence()
        concentration = pyro.sample("concentration", dist.LogNormal(*map(self._tensor, CONCENTRATION_SCALE)))
        rows = [self._rows(g, group) for g, group in enumerate(self._groups)]
        self._archetypes([(psi, base) for _, psi, base in rows])
        with pyro.plate("items", self._problem.n_items, subsample=batch):
            if self._options.guide == "scores":
                q = pyro.sample("q", dist.MultivariateNormal(mean, scale_tril=scale_tril)).unsqueeze(0)
            else:
                q = self._points(mean, scale_tril).unsqueeze(1)
            fits = self._fits(batch, q, rows, concentration)
            pyro.factor("observed", torch.logsumexp(fits, 0) - math.log(len(fits)))

    def guide(self, batch: Tensor) -> None:
        """Points and rows of `_settled`; N(encoder(x), Sigma) for q, equation 16."""
        mean, scale_tril = self._settled()
        if self._options.guide == "scores":
            pyro.module("encoder", self._encoder)
            with pyro.plate("items", self._problem.n_items, subsample=batch):
                location = mean.detach() + self._encoder(self._encoded[batch])
                pyro.sample("q", dist.MultivariateNormal(location, scale_tril=scale_tril))

    def _settled(self) -> tuple[Tensor, Tensor]:
        """What items share: points for mu, sigma, L and lambda, Dirichlet rows. Returns mu and diag(sigma) L."""
        start, positive = self._problem.start, constraints.positive
        mean = pyro.param("point/mean", lambda: self._tensor(start.mean))
        sigma = pyro.param("point/sigma", lambda: self._tensor(start.sigma), constraint=positive)
        found = pyro.param("point/concentration", lambda: self._tensor(START_CONCENTRATION), constraint=positive)
        pyro.sample("mean", dist.Delta(mean).to_event(1))
        pyro.sample("sigma", dist.Delta(sigma).to_event(1))
        root = self._guide_root()  # sites stand in the model's order: the bound's analytic parts need it
        pyro.sample("concentration", dist.Delta(found))
        for g in range(len(self._groups)):
            self._guide_rows(g)
        if self._n_families and self._known is None:
            share = self._dirichlet("share", np.full(self._n_families, self._options.mixing + 1.0))
            pyro.sample("share", share)
        return mean, sigma[:, None] * root

    def _prevalence(self) -> tuple[Tensor, Tensor]:
        """Mean and Cholesky factor of Sigma, equations 6 to 8."""
        size = self._problem.n_components
        spread = self._tensor(MEAN_SD).expand(size)
        mean = pyro.sample("mean", dist.Normal(torch.zeros_like(spread), spread).to_event(1))
        location, scale = (self._tensor(value).expand(size) for value in SIGMA_SCALE)
        sigma = pyro.sample("sigma", dist.LogNormal(location, scale).to_event(1))
        if size < 2:  # a single component correlates with nothing
            return mean, sigma[:, None]
        root = pyro.sample("root", dist.LKJCholesky(size, self._tensor(self._options.correlation_shape)))
        return mean, sigma[:, None] * root

    def _guide_root(self) -> Tensor:
        if self._problem.n_components < 2:
            return self._tensor(np.ones((1, 1)))
        start = self._tensor(self._problem.start.root)
        root = pyro.param("point/root", lambda: start, constraint=constraints.corr_cholesky)
        pyro.sample("root", dist.Delta(root).to_event(2))
        return root

    def _rows(self, g: int, group: _Tensors) -> tuple[Tensor, Tensor, Tensor]:
        """People's rows, models' rows and archetypes' rows of one group, equations 10 to 12."""
        phi = pyro.sample(f"people/{g}", dist.Dirichlet(group.people_prior).to_event(3)).clamp(min=LEAST)
        if not self._n_families:
            return phi, phi[:, :0], phi[:, :0]
        base = pyro.sample(f"base/{g}", dist.Dirichlet(group.models_prior).to_event(3)).clamp(min=LEAST)
        prior = torch.ones_like(group.models_prior[:, :1]).expand(-1, self._problem.n_models, -1, -1)
        if self._known is not None:
            prior = self._options.precision * base[:, self._known]
        psi = pyro.sample(f"models/{g}", dist.Dirichlet(prior).to_event(3)).clamp(min=LEAST)
        return phi, psi, base

    def _archetypes(self, rows: list[tuple[Tensor, Tensor]]) -> None:
        """Equation 17: the assignment of a model to an archetype, the same for all tasks, summed out."""
        if not self._n_families or self._known is not None:
            return
        share = pyro.sample("share", dist.Dirichlet(self._tensor(np.full(self._n_families, self._options.mixing))))
        together = [self.log_density(psi, base) for psi, base in rows]
        pyro.factor("archetypes", torch.logsumexp(torch.stack(together).sum(0) + share.log(), -1).sum())

    def log_density(self, psi: Tensor, base: Tensor) -> Tensor:
        """sum_tk log Dirichlet(psi_mtk; gamma base_ftk) of one group, (models, archetypes)."""
        density = dist.Dirichlet(self._options.precision * base[:, None]).log_prob(_whole(psi)[:, :, None])
        return density.sum((0, 3))

    def _points(self, mean: Tensor, scale_tril: Tensor) -> Tensor:
        """Points of the prior of q: a Sobol set shifted at random [cranley1976], its most even axes along the widest
        directions of the covariance.
        """
        uniform = (self._sobol + torch.rand(len(mean), device=self._device)) % 1.0
        standard = torch.special.ndtri(uniform.clamp(EDGE, 1 - EDGE))
        turn = torch.linalg.svd(scale_tril.detach())[2]
        return mean + standard @ turn @ scale_tril.T

    def _fits(
        self, batch: Tensor, q: Tensor, rows: list[tuple[Tensor, Tensor, Tensor]], concentration: Tensor
    ) -> Tensor:
        """Log p(labels and scores of an item | q), (draws, items)."""
        total = torch.zeros((), device=self._device)
        for group, (phi, psi, _) in zip(self._groups, rows, strict=True):
            of_class = self._score_fit(group, batch, psi, concentration) + self._label_fit(group, batch, phi)
            odds = q[..., group.components]
            theta = torch.log_softmax(torch.cat([odds, odds.new_zeros(*odds.shape[:-1], 1)], -1), -1)
            total = total + torch.logsumexp(theta + of_class, -1).sum(-1)
        return total

    @staticmethod
    def _score_fit(group: _Tensors, batch: Tensor, psi: Tensor, concentration: Tensor) -> Tensor:
        """Dirichlet log density of all models' scores given each class, (items, tasks, classes), equation 15."""
        weight = concentration * psi
        norm = torch.lgamma(concentration) - torch.lgamma(weight).sum(-1)
        fit = torch.einsum("btml,tmcl->btc", group.log_scores[batch], weight - 1.0)
        return fit + torch.einsum("btm,tmc->btc", group.spoken[batch], norm)

    def _label_fit(self, group: _Tensors, batch: Tensor, phi: Tensor) -> Tensor:
        """Log-likelihood of people's labels given each class, (items, tasks, classes), equation 14."""
        begin, length = group.begin[batch], group.begin[batch + 1] - group.begin[batch]
        item = torch.repeat_interleave(torch.arange(len(batch), device=self._device), length)
        first = torch.repeat_interleave(begin - (torch.cumsum(length, 0) - length), length)
        place = torch.arange(len(item), device=self._device) + first
        task = group.task[place]
        said = phi.log()[task, group.annotator[place], :, group.label[place]]
        out = torch.zeros(len(batch), phi.shape[0], group.n_classes, device=self._device)
        return out.index_put((item, task), said, accumulate=True)

    # ---- the guide's parts --------------------------------------------------------------------------------------
    def _guide_rows(self, g: int) -> None:
        start = self._problem.start
        pyro.sample(f"people/{g}", self._dirichlet(f"people/{g}", start.people[g]).to_event(3))
        if not self._n_families:
            return
        pyro.sample(f"base/{g}", self._dirichlet(f"base/{g}", self._start_base(g)).to_event(3))
        pyro.sample(f"models/{g}", self._dirichlet(f"models/{g}", SURE * start.models[g]).to_event(3))

    def _start_base(self, g: int) -> Array:
        """Archetypes begin at the models' mean rows, a little apart: equal ones would stay equal."""
        models = self._problem.start.models[g]
        rng = np.random.default_rng(self._options.seed)
        n_models = models.shape[1]
        family = self._problem.family if self._known is not None else np.arange(n_models) % self._n_families
        means = [
            models[:, family == f].mean(axis=1) if (family == f).any() else models.mean(axis=1)
            for f in range(self._n_families)
        ]
        base = np.stack(means, axis=1)
        return SURE * base * np.exp(0.05 * rng.normal(size=base.shape))

    def _dirichlet(self, name: str, start: Array) -> Tensor:
        """Mean and total weight apart: noise in the mean would drown what the total has to learn."""
        total = start.sum(axis=-1, keepdims=True)
        pyro.param(f"{name}/logits", lambda: self._tensor(np.log(start / total)))
        pyro.param(f"{name}/log_total", lambda: self._tensor(np.log(total)))
        return dist.Dirichlet(self._weights(name))

    @staticmethod
    def _weights(name: str) -> Tensor:
        """Dirichlet weights of the guide."""
        mean, log_total = torch.softmax(pyro.param(f"{name}/logits"), -1), pyro.param(f"{name}/log_total")
        return (mean * log_total.exp()).clamp(*WEIGHTS)

    # ---- out ----------------------------------------------------------------------------------------------------
    def learned(self) -> Learned:
        """Everything as numpy arrays, tasks in the order of the schema."""
        _, root = self._settled()
        parts = {kind: self._by_task(kind) for kind in ("people", "models", "base")}
        return Learned(
            mean=_array(pyro.param("point/mean")),
            root=_array(root),
            concentration=float(pyro.param("point/concentration")),
            rows=Rows(parts["people"], parts["models"], parts["base"]),
            membership=self._membership(),
            encoder=Encoder(*(_array(getattr(self._encoder, name)) for name in Encoder._fields)),
            scaling=self._problem.scaling,
        )

    def _by_task(self, kind: str) -> tuple[Array, ...]:
        """Dirichlet weights of the rows per task, (agents, classes, classes)."""
        out: list[Array] = [np.zeros((0, k, k)) for k in self._problem.classes]
        for g, group in enumerate(self._problem.groups):
            if f"{kind}/{g}/logits" in pyro.get_param_store():
                weights = _array(self._weights(f"{kind}/{g}"))
                for place, t in enumerate(group.tasks):
                    out[t] = weights[place]
        return tuple(out)

    def _membership(self) -> Array:
        """P(archetype | model), (models, archetypes)."""
        if self._known is not None:
            return np.eye(self._n_families)[self._problem.family]
        if not self._n_families:
            return np.zeros((0, 0))
        logs = _whole(self._weights("share")).log().expand(self._problem.n_models, -1)
        for g in range(len(self._groups)):
            logs = logs + self.log_density(*(_whole(self._weights(f"{kind}/{g}")) for kind in ("models", "base")))
        return _array(torch.softmax(logs, -1))

    def _families(self) -> int:
        if not self._problem.n_models:
            return 0
        family = self._problem.family
        return int(family.max()) + 1 if family is not None else min(self._options.archetypes, self._problem.n_models)

    def _on_device(self, group: Group) -> _Tensors:
        n_classes = group.components.shape[1] + 1
        whole = {
            name: torch.as_tensor(getattr(group, name), device=self._device)
            for name in ("components", "log_scores", "spoken", "begin", "task", "annotator", "label")
        }
        n_tasks = len(group.tasks)
        base = np.broadcast_to(row_prior(n_classes), (n_tasks, max(self._families(), 1), n_classes, n_classes))
        return _Tensors(
            n_classes=n_classes,
            people_prior=self._tensor(people_prior(n_tasks, self._problem.n_annotators, n_classes)),
            models_prior=self._tensor(base),
            **whole,
        )

    def _tensor(self, values: Any) -> Tensor:
        return torch.tensor(np.asarray(values, np.float32), device=self._device)


class Network(torch.nn.Module):
    """The encoder: one hidden layer beside a straight way, both starting at no effect."""

    def __init__(self, n_in: int, n_hidden: int, n_out: int) -> None:
        super().__init__()
        self.inner = torch.nn.Parameter(torch.randn(n_hidden, n_in) / math.sqrt(max(n_in, 1)))
        self.inner_bias = torch.nn.Parameter(torch.zeros(n_hidden))
        self.outer = torch.nn.Parameter(torch.zeros(n_out, n_hidden))
        self.outer_bias = torch.nn.Parameter(torch.zeros(n_out))
        self.straight = torch.nn.Parameter(torch.zeros(n_out, n_in))

    def forward(self, inputs: Tensor) -> Tensor:
        """Deviation of E[q] from mu, (items, components)."""
        hidden = torch.tanh(inputs @ self.inner.T + self.inner_bias)
        return hidden @ self.outer.T + self.outer_bias + inputs @ self.straight.T


def _whole(rows: Tensor) -> Tensor:
    """Rows that sum to 1 again after they were kept above LEAST."""
    return rows / rows.sum(-1, keepdim=True)


def _array(tensor: Tensor) -> Array:
    return tensor.detach().cpu().numpy().astype(np.float64)
