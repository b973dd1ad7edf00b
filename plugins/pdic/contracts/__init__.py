"""Contracts: what each dataset and each published table must be, and everything that follows from it.

``contracts/<sector>/<dataset>.odcs.yaml`` is read by :func:`load_all` and :func:`get`,
``contracts/shared/<table>.odcs.yaml`` by :func:`load_shared`; :func:`compile_all` writes (or checks) the files that
are derived from them. How to write a contract: docs/contracts.md.
"""

from __future__ import annotations

from pdic.contracts.compile import Difference, compile_all
from pdic.contracts.errors import ContractError, Problem
from pdic.contracts.model import Column, Contract, SharedContract
from pdic.contracts.read import get, load_all, load_shared, names, readable, unreadable

__all__ = [
    "Column",
    "Contract",
    "ContractError",
    "Difference",
    "Problem",
    "SharedContract",
    "compile_all",
    "get",
    "load_all",
    "load_shared",
    "names",
    "readable",
    "unreadable",
]
