"""What chance does to counts: how many of a few rows may fail before a share is really broken."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

LEAST_CHANCE: Final = 0.001
"""What happens more seldom than once in a thousand releases is no chance."""
DEVIATIONS: Final = 3.09
"""The same, in standard deviations of a normal distribution."""
MANY: Final = 2_000
"""From so many rows on, of which MANY_FAIL or more fail, the normal distribution says the same as the binomial one."""
MANY_FAIL: Final = 50


@lru_cache(maxsize=1024)
def tolerated(rows: int, share: float) -> int:
    """How many of `rows` may fail where at most `share` (part of 1) of all such rows do: never less than that share of these.

    Of 1,000,000 rows and 5 % it is 50,673; of 40 rows it is 7, and not 2: more than two of forty fail in every third release of a
    province in which 5 % fail. Where no row may fail (`share` 0), none is tolerated.
    """
    nominal = math.floor(rows * share + 1e-9)
    if share <= 0 or share >= 1 or rows == 0:
        return nominal
    if rows >= MANY and MANY_FAIL <= rows * share <= rows - MANY_FAIL:
        return max(nominal, math.floor(rows * share + DEVIATIONS * math.sqrt(rows * share * (1 - share))))
    left = 1.0  # how probable it is that more than `failed` rows fail
    for failed in range(rows + 1):
        left -= _probability(rows, failed, share)
        if failed >= nominal and left < LEAST_CHANCE:
            return failed
    return rows


def _probability(rows: int, failed: int, share: float) -> float:
    """That exactly `failed` of `rows` fail, each with the probability `share`."""
    return math.exp(
        math.lgamma(rows + 1)
        - math.lgamma(failed + 1)
        - math.lgamma(rows - failed + 1)
        + failed * math.log(share)
        + (rows - failed) * math.log1p(-share)
    )
