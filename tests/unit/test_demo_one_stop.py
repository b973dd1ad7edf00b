"""Dossiers of the demo: their lives are sound, and the same whether days are told one by one or together."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from demo import people, profile, text, units
from demo.records import one_stop
from demo.records.one_stop import NEVER, Lives
from demo.table import Table, World

SEED = 5
NUMBERS = np.arange(1, 2001)
FIRST = 20_700
DAYS = FIRST + np.sort(NUMBERS * 7919 % 60)


@pytest.fixture(scope="module")
def world() -> World:
    known = units.load()
    return World(SEED, profile.load(), known, people.facilities(known))


@pytest.fixture(scope="module")
def life() -> Lives:
    return one_stop.lives(SEED, NUMBERS, DAYS)


def counter() -> Callable[[int], int]:
    given = [1]

    def take(n: int) -> int:
        given[0] += n
        return given[0] - n

    return take


def test_a_life_depends_on_number_and_seed_alone(life: Lives) -> None:
    some = NUMBERS[500:510]
    again = one_stop.lives(SEED, some, DAYS[500:510])
    assert np.array_equal(again.finished, life.finished[500:510])
    assert not np.array_equal(one_stop.lives(SEED + 1, NUMBERS, DAYS).finished, life.finished)


def test_steps_follow_each_other(life: Lives) -> None:
    assert (life.begun > life.received).all()
    ended = life.finished < NEVER
    assert (life.finished[ended] > life.begun[ended]).all()
    assert (life.returned[ended] > life.finished[ended]).all()
    brought = life.supplied < NEVER
    assert (life.supplied[brought] > life.asked[brought]).all()
    assert (life.finished[brought] > life.supplied[brought]).all()
    assert not ((life.closed < NEVER) & ended).any()
    assert 0.85 < ended.mean() < 1
    assert 0.05 < (life.asked < NEVER).mean() < 0.15


def test_days_one_by_one_tell_the_same_steps_as_all_at_once(world: World, life: Lives) -> None:
    codes = agencies = text.number(NUMBERS)
    end = (FIRST + 90) * text.MINUTES

    def steps(table: Table) -> list[tuple[str, str, str]]:
        names = ("MaHoSo", "ThoiDiemXuLy", "TrangThai")
        return list(zip(*(table.columns[name].to_pylist() for name in names), strict=True))

    whole = steps(one_stop.qua_trinh(world, codes, agencies, life, 0, end, counter()))
    daily = []
    ids = counter()
    since = 0
    for day in range(FIRST, FIRST + 91):
        daily += steps(one_stop.qua_trinh(world, codes, agencies, life, since, day * text.MINUTES, ids))
        since = day * text.MINUTES
    assert sorted(daily) == sorted(whole)
    assert len(whole) > 3 * len(NUMBERS)


def test_a_state_says_what_has_happened_so_far(life: Lives) -> None:
    until = (FIRST + 40) * text.MINUTES
    state = one_stop.state(life, until)
    status = state["TrangThaiHoSo"].to_pylist()
    finished, supplements = (state[name].to_pylist() for name in ("NgayKetThucXuLy", "DanhSachHoSoBoSung"))
    for at, code in enumerate(status):
        assert (code in ("3", "7", "8", "9", "10")) == (finished[at] is not None)
        waits = any(entry["NgayBoSung"] is None for entry in json.loads(supplements[at]))
        assert waits == (code == "5")
    assert set(status) >= {"0", "3", "4", "5", "10"}  # 0: not received yet


def test_only_what_is_open_moves_on(life: Lives) -> None:
    until = (FIRST + 40) * text.MINUTES
    now, later = one_stop.state(life, until), one_stop.state(life, until + 30 * text.MINUTES)
    moved = now["version"] != later["version"]
    status = np.array(now["TrangThaiHoSo"].to_pylist())
    assert set(status[moved]) <= {"0", *one_stop.OPEN}
    assert moved.any()
