"""The PyTorch module of a network with a skip connection; imported only when PyTorch is there."""

# PyTorch is not in every environment that is checked
# pyright: reportMissingImports=false
from __future__ import annotations

import torch
from torch import nn


class SkipNetwork(nn.Module):
    """f(x) = output(relu(hidden(x))) + skip(x), three linear layers, `skip` without a bias."""

    def __init__(self, hidden: nn.Linear, output: nn.Linear, skip: nn.Linear) -> None:
        super().__init__()
        self.hidden = hidden
        self.relu = nn.ReLU()
        self.output = output
        self.skip = skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.output(self.relu(self.hidden(x))) + self.skip(x)
