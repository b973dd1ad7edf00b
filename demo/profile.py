"""The profile: what the sample province looks like, as data."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from demo import form
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
    """Reads a profile; sections and lists of names that it leaves out are those of the default one.

    Texts come as this house writes them. Raises DemoError, naming file and key, where it cannot be used.
    """
    data = _read(path)
    raw = path.read_bytes()
    if path.resolve() != DEFAULT.resolve():
        usual = _read(DEFAULT)
        raw += DEFAULT.read_bytes()
        for section in ("names", "population", "province"):
            if isinstance(data.get(section), dict):
                data[section] = {**usual[section], **data[section]}
        data = {**usual, **data}
    used, wrong = form.complaints(data)
    if not wrong and (unknown := sorted(used["defects"].keys() - _kinds())):
        wrong = [f"defects.{name}: no such kind of defect" for name in unknown]
    if wrong:
        more = f"; and {len(wrong) - 10} more" if len(wrong) > 10 else ""
        raise DemoError(
            f"{path}: {'; '.join(wrong[:10])}{more}. Correct it; {DEFAULT} has every key and kind of defect"
        )
    return Profile(used, hashlib.sha256(raw).hexdigest())


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise DemoError(f"no profile at {path}: give a file that exists, such as {DEFAULT}")
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise DemoError(f"{path} is not UTF-8 (byte {error.start}): save it as UTF-8") from None
    except yaml.YAMLError as error:
        raise DemoError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise DemoError(f"{path} must be a mapping of sections, like {DEFAULT}; it is {type(data).__name__}")
    return data


def _kinds() -> set[str]:
    from demo.defects import EVENT_KINDS, KINDS  # these modules read profiles

    return {*KINDS, *EVENT_KINDS}


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
