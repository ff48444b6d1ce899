"""Proofs that a fit is as good as its gap says, which anyone can check in exact arithmetic."""

from __future__ import annotations

from .checker import ProofCheck
from .checker import verify as verify_proof
from .writing import proof_record, write_proof

__all__ = ["ProofCheck", "proof_record", "verify_proof", "write_proof"]
