"""The profile: what the sample province looks like, as data."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from demo.errors import DemoError

DEFAULT = Path(__file__).with_name("profile.yaml")
EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Profile:
    """A profile as read, with the digest of its file."""

    data: dict[str, Any]
    digest: str

    @property
    def as_of(self) -> int:
        """Business date of the seed, in days since 1970."""
        return to_days(self.data["as_of"])

    @property
    def reform(self) -> int:
        """First day of the new administrative units, in days since 1970."""
        return to_days(self.data["province"]["reform"])

    def rate(self, kind: str) -> float:
        """Rate of a kind of defect; 0 where the profile does not name it."""
        return float(self.data["defects"].get(kind, 0.0))

    def number(self, name: str) -> float:
        """A number of the section `population`."""
        return float(self.data["population"][name])


def load(path: Path = DEFAULT) -> Profile:
    """Reads a profile. Raises DemoError where the file is missing or a rate is no share."""
    if not path.is_file():
        raise DemoError(f"no profile at {path}: give one that exists, such as {DEFAULT}")
    raw = path.read_bytes()
    data = yaml.safe_load(raw)
    for kind, rate in data["defects"].items():
        if not isinstance(rate, int | float) or not 0 <= rate <= 0.5:
            raise DemoError(f"{path}: defects.{kind} is {rate!r}, but a rate lies between 0 and 0.5")
    return Profile(data, hashlib.sha256(raw).hexdigest())


def on_day(data: dict[str, Any], day: int) -> Profile:
    """The profile kept with a seed (dates as text), with another business date."""
    province = {**data["province"], "reform": date.fromisoformat(str(data["province"]["reform"]))}
    return Profile({**data, "province": province, "as_of": to_date(day)}, "")


def to_days(day: date) -> int:
    """Days since 1970-01-01."""
    return (day - EPOCH).days


def to_date(days: int) -> date:
    """The date that many days after 1970-01-01."""
    return date.fromordinal(EPOCH.toordinal() + int(days))


def stream(seed: int, *names: object) -> np.random.Generator:
    """The random stream of one purpose: the same for the same seed and names, independent of all others."""
    label = "/".join(str(name) for name in names).encode()
    words = np.frombuffer(hashlib.sha256(label).digest()[:16], dtype=np.uint32)
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed % 2**63, *words.tolist()])))
