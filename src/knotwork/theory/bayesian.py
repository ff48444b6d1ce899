"""Weight decay as a Gaussian prior: the network solved for is a maximum a posteriori (B, section 2.1).

    y_it ~ N(f_t(x_i), noise_variance / w_it),      every penalised parameter ~ N(0, prior_variance),

independently, whatever the width is. Then -noise_variance log p(parameters | labels) is
sum w (y - f)^2 / 2 + lam |parameters|^2 / 2 up to a constant, lam = noise_variance / prior_variance,
and its minimum over rescaling the neurons is our F. B's lambda in (4) is the same ratio.

Mode and limit of infinite width do not exchange (B, section 2.1), and they do not belong to one prior:
under this one the variance of f(x) grows like the width n and no Gaussian process is its limit. The
prior that has a limit (Neal 1996) gives output weights the variance s / n. By
`lam_from_layer_variances` its lam grows like sqrt(n), so that its mode in the space of parameters has
no neurons from some width on, while the mode of the limit is the Gaussian process' posterior mean.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..losses import Squared
from ..network import ReLUNetwork
from ..problem import Problem
from ._inputs import as_number

_LOG_TWO_PI = float(np.log(2.0 * np.pi))


class Variances(NamedTuple):
    """Of the noise, in label^2, and of each parameter a priori."""

    noise_variance: float
    prior_variance: float


def lam_from_variances(noise_variance: float, prior_variance: float) -> float:
    """lam = noise_variance / prior_variance (B, section 2.1; both conventions have the same lambda).

    Parameters
    ----------
    noise_variance : >= 0, of a label of weight 1.
    prior_variance : > 0, of every penalised parameter, the same at every width.

    Raises
    ------
    TypeError, ValueError : naming the argument.
    """
    noise = as_number(noise_variance, "noise_variance")
    return noise / as_number(prior_variance, "prior_variance", positive=True)


def variances_from_lam(
    lam: float, *, noise_variance: float | None = None, prior_variance: float | None = None
) -> Variances:
    """Both variances, one being given: noise_variance = lam prior_variance.

    lam is their ratio only; it says nothing of either alone.

    Raises
    ------
    TypeError, ValueError : naming the argument; unless exactly one variance is given.
    """
    if (noise_variance is None) == (prior_variance is None):
        raise ValueError("noise_variance: give this or prior_variance, and not both; lam is their ratio")
    if noise_variance is not None:
        ratio = as_number(lam, "lam", positive=True)
        noise = as_number(noise_variance, "noise_variance", positive=True)
        return Variances(noise, noise / ratio)
    prior = as_number(prior_variance, "prior_variance", positive=True)
    return Variances(as_number(lam, "lam") * prior, prior)


def lam_from_layer_variances(noise_variance: float, input_variance: float, output_variance: float) -> float:
    """lam = noise_variance / sqrt(input_variance output_variance), for a variance a priori of each layer.

    Over rescaling, |(w, b)|^2 / input_variance + |v|^2 / output_variance has minimum
    2 |v| |(w, b)| / sqrt(input_variance output_variance). What R has of c and A then has the prior
    variance sqrt(input_variance output_variance).

    Raises
    ------
    TypeError, ValueError : naming the argument.
    """
    noise = as_number(noise_variance, "noise_variance")
    both = [
        as_number(value, name, positive=True)
        for name, value in (("input_variance", input_variance), ("output_variance", output_variance))
    ]
    return noise / float(np.sqrt(both[0]) * np.sqrt(both[1]))


def log_posterior(
    problem: Problem, network: ReLUNetwork, variances: Variances | tuple[float, float]
) -> float:
    """log p(labels | parameters) + log p(parameters), the normalising p(labels) left out.

    The parameters are those of `network` as they stand, neurons of zero weights included: a
    network of n neurons is a point of the space of width n. For a balanced network it is
    -F / noise_variance + a constant of the width, the data and the variances; else it is less. What
    the penalty leaves free (b, c and A under biases=False) has the flat prior of density 1.

    Parameters
    ----------
    problem : of squared loss, with lam = noise_variance / prior_variance. Weights divide the noise
        variance, missing labels and those of weight 0 are not there.
    network : of any width; A = 0 under skip="none".
    variances : (noise_variance, prior_variance), both > 0, see `variances_from_lam`.

    Raises
    ------
    TypeError, ValueError : for other losses, for skip="nuclear" (A has no Gaussian prior), and where
        lam is not the ratio of the variances, to 1e-12.
    """
    if not isinstance(problem, Problem):
        raise TypeError(f"problem: must be a knotwork.Problem, got {type(problem).__name__}")
    problem.check_network(network)
    if not isinstance(problem.loss_function, Squared):
        raise ValueError(
            f"problem: must have squared loss (Gaussian noise), got {problem.loss_function.name!r}"
        )
    penalty = problem.penalty
    if penalty.skip == "nuclear":
        raise ValueError("problem: under skip='nuclear' A has no Gaussian prior; take skip='frobenius'")
    if penalty.skip == "none" and np.any(network.A):
        raise ValueError("network: A must be zero under skip='none'; take skip='frobenius' or 'free'")
    if len(variances) != 2:
        raise ValueError(f"variances: must be (noise_variance, prior_variance), got {variances!r}")
    noise = as_number(variances[0], "noise_variance", positive=True)
    prior = as_number(variances[1], "prior_variance", positive=True)
    if abs(problem.lam * prior - noise) > 1e-12 * noise:
        raise ValueError(
            f"variances: {noise!r} / {prior!r} is not lam = {problem.lam!r}; "
            "take them from variances_from_lam(problem.lam, ...)"
        )
    weight = problem.label_weight()
    seen = weight[weight > 0]
    likelihood = -problem.loss_value(network) / noise
    likelihood += 0.5 * float(np.sum(np.log(seen))) - 0.5 * seen.size * (_LOG_TWO_PI + np.log(noise))
    penalised = [network.W, network.V]
    if penalty.biases:
        penalised += [network.b, network.c]
    if penalty.skip == "frobenius":
        penalised.append(network.A)
    squares = sum(float(np.sum(part * part)) for part in penalised)
    count = sum(part.size for part in penalised)
    return likelihood - 0.5 * squares / prior - 0.5 * count * (_LOG_TWO_PI + float(np.log(prior)))
