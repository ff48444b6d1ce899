"""Fifty PyTorch networks, trained with weight decay, saved, audited and improved.

    python benchmarks/audit.py [--quick] [--steps 2000]

Ten data sets, five seeds each: one input or two, 1 to 3 tasks, 5 to 40 neurons, with and without a skip
connection, in float32 and float64, three ways to average the loss. Adam trains each network on its CSV
file's data; the state dict goes to a .pt file, and what follows is what `knotwork audit MODEL DATA.csv
--weight-decay W --loss-mean M --improve OUT` does. Two bars, out of 50:

- the certified bound is valid: it is at most the objective of every network known for that data set,
  all five seeds' as they are, compressed and improved among them;
- the improved network, read back from its file, has no larger objective than the one given.

Objectives are recomputed here by PyTorch in float64: its own loss plus (W / 2) sum of squares of all its
parameters, times n / 2. "gap" is the solver's, "our s" the seconds of one audit without page, the median.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from one_input import HEADER, Row
from torch import nn

import knotwork as kw
from knotwork.auditing.case import read_case
from knotwork.auditing.writing import write_network

Array = NDArray[np.float64]
SEEDS = 5


@dataclass(frozen=True)
class Setting:
    """One data set, and how its networks are trained."""

    n_inputs: int
    n_rows: int
    n_tasks: int
    width: int
    weight_decay: float
    loss_mean: str = "all"
    skip: bool = False
    single: bool = False

    def __str__(self) -> str:
        extras = [" skip"] * self.skip + [" float32"] * self.single
        return (
            f"d={self.n_inputs} N={self.n_rows} T={self.n_tasks} K={self.width} "
            f"wd={self.weight_decay:g} mean {self.loss_mean}{''.join(extras)}"
        )


SETTINGS = (
    Setting(1, 50, 1, 5, 1e-2),
    Setting(1, 60, 2, 20, 1e-3, single=True),
    Setting(1, 80, 3, 40, 1e-3),
    Setting(1, 60, 2, 30, 1e-3, skip=True),
    Setting(1, 100, 3, 40, 1e-2, loss_mean="rows", single=True),
    Setting(1, 40, 1, 10, 1e-1, loss_mean="none", skip=True),
    Setting(2, 30, 1, 10, 1e-2),
    Setting(2, 40, 2, 20, 1e-3, single=True),
    Setting(2, 50, 2, 40, 1e-2, loss_mean="rows", skip=True),
    Setting(2, 40, 1, 30, 1e-3, skip=True, single=True),
)


class Network(nn.Module):
    """One hidden layer, and a skip connection where there is one."""

    def __init__(self, setting: Setting) -> None:
        super().__init__()
        self.hidden = nn.Linear(setting.n_inputs, setting.width)
        self.output = nn.Linear(setting.width, setting.n_tasks)
        self.skip = nn.Linear(setting.n_inputs, setting.n_tasks, bias=False) if setting.skip else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.output(torch.relu(self.hidden(x)))
        return y if self.skip is None else y + self.skip(x)


def data_of(setting: Setting, number: int) -> tuple[Array, Array]:
    """Kinks shared by the tasks, at random angles in two inputs, and noise."""
    rng = np.random.default_rng([11, number])
    X = rng.uniform(-1.0, 1.0, (setting.n_rows, setting.n_inputs))
    W = rng.standard_normal((5, setting.n_inputs))
    hidden = np.maximum(X @ (W / np.linalg.norm(W, axis=1)[:, None]).T - rng.uniform(-0.7, 0.7, 5), 0.0)
    Y = hidden @ rng.standard_normal((5, setting.n_tasks)) + 0.1 * rng.standard_normal(
        (setting.n_rows, setting.n_tasks)
    )
    return X, Y


def loss_of(setting: Setting, prediction: torch.Tensor, Y: torch.Tensor) -> torch.Tensor:
    """The mean, or the sum, of squared errors."""
    total = torch.sum((prediction - Y) ** 2)
    return total / {"all": Y.numel(), "rows": len(Y), "none": 1}[setting.loss_mean]


def train(setting: Setting, X: Array, Y: Array, seed: int, steps: int) -> Network:
    """Adam with PyTorch's weight decay on every parameter, its rate falling tenfold towards the end."""
    torch.manual_seed(seed)
    dtype = torch.float32 if setting.single else torch.float64
    network = Network(setting).to(dtype)
    inputs, labels = torch.tensor(X, dtype=dtype), torch.tensor(Y, dtype=dtype)
    adam = torch.optim.Adam(network.parameters(), lr=0.01, weight_decay=setting.weight_decay)
    rate = torch.optim.lr_scheduler.MultiStepLR(adam, [steps // 2, 3 * steps // 4], 0.3)
    for _ in range(steps):
        adam.zero_grad()
        loss_of(setting, network(inputs), labels).backward()
        adam.step()
        rate.step()
    return network


def pytorch_objective(setting: Setting, module: nn.Module, X: Array, Y: Array) -> float:
    """n / 2 times what PyTorch minimises, in float64."""
    module = module.double()
    with torch.no_grad():
        loss = float(loss_of(setting, module(torch.tensor(X)), torch.tensor(Y)))
        squares = sum(float(torch.sum(weights**2)) for weights in module.parameters())
    n = {"all": Y.size, "rows": len(Y), "none": 1}[setting.loss_mean]
    return 0.5 * n * (loss + 0.5 * setting.weight_decay * squares)


@dataclass(frozen=True)
class Audited:
    """One network's audit; objectives as PyTorch has them."""

    dual: float
    given: float
    improved: float
    found: kw.Audit
    seconds: float

    @property
    def is_better(self) -> bool:
        return self.improved <= self.given


def audit(setting: Setting, number: int, steps: int, folder: Path) -> list[Audited]:
    """Train, save, audit and improve the networks of one data set."""
    X, Y = data_of(setting, number)
    inputs = [f"x{k}" for k in range(setting.n_inputs)]
    header = ",".join([*inputs, *(f"y{t}" for t in range(setting.n_tasks))])
    table = folder / "data.csv"
    np.savetxt(table, np.hstack([X, Y]), delimiter=",", header=header, comments="", fmt="%.17g")
    model, out = folder / "model.pt", folder / "improved.npz"
    audits = []
    for seed in range(SEEDS):
        network = train(setting, X, Y, seed, steps)
        torch.save(network.state_dict(), model)
        began = time.perf_counter()
        case = read_case(
            model,
            table,
            inputs=inputs,
            weight_decay=setting.weight_decay,
            loss_mean=setting.loss_mean,  # pyright: ignore[reportArgumentType]
        )
        found = kw.audit(case.network, case.problem)
        write_network(found.improved, out)
        seconds = time.perf_counter() - began
        better = pytorch_objective(setting, kw.to_torch(kw.load_network(out)), X, Y)
        given = pytorch_objective(setting, network, X, Y)
        audits.append(Audited(found.certificate.dual, given, better, found, seconds))
    return audits


def rows_of(settings: tuple[Setting, ...], steps: int) -> Iterator[Row]:
    """A row for each data set, then the two bars."""
    valid = better = total = 0
    gaps, seconds = [], []
    for setting in settings:
        number = SETTINGS.index(setting)
        with tempfile.TemporaryDirectory() as folder:
            audits = audit(setting, number, steps, Path(folder))
        known = [value for one in audits for value in (one.given, one.improved, *one.found.objectives)]
        # objectives here and there are summed in different orders
        lowest = min(known) * (1.0 + 1e-12)
        valid += sum(one.dual <= lowest for one in audits)
        better += sum(one.is_better for one in audits)
        total += len(audits)
        gaps.append(max(one.found.solution.certificate.relative_gap for one in audits))
        seconds.append(float(np.median([one.seconds for one in audits])))
        excess = [100.0 * one.found.excess for one in audits]
        loose = [100.0 * (one.given / max(one.found.own_certificate.dual, 1e-300) - 1.0) for one in audits]
        neurons = [one.found.improved.n_neurons for one in audits]
        dead = sum(len(one.found.neurons.dead) for one in audits)
        rigour = {one.found.certificate.rigour.name for one in audits}
        yield Row(
            "audit",
            str(setting),
            f"{min(excess):.2g} to {max(excess):.2g} % above the optimum ({', '.join(sorted(rigour))})",
            gap=gaps[-1],
            ours=seconds[-1],
            other=f"by their own residuals {min(loose):.2g} to {max(loose):.2g} %; "
            f"{min(neurons)}-{max(neurons)} neurons instead of {setting.width}, {dead} dead in {SEEDS} nets",
        )
    for name, count in (("bound valid", valid), ("improved ≤ given", better)):
        yield Row(
            name,
            f"{len(settings)} data sets × {SEEDS} seeds",
            f"{count} of {total}",
            f"{total} of {total}",
            "",
            count == total,
            max(gaps),
            max(seconds),
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="every fifth data set")
    parser.add_argument("--steps", type=int, default=2000, help="of Adam")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs")
    print(
        f"Python {platform.python_version()}, NumPy {np.__version__}, PyTorch {torch.__version__}\n\n{HEADER}"
    )
    for row in rows_of(SETTINGS[::5] if options.quick else SETTINGS, options.steps):
        print(row, flush=True)


if __name__ == "__main__":
    main()
