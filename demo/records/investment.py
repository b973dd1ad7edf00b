"""Public investment: projects, decisions, plans by year and source, money paid by month, contracts, obstacles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from demo import text
from demo.people import serials
from demo.profile import stream
from demo.table import Table, World, falses, serial_ids, stamped
from demo.text import MINUTES, Array

FIRST_YEAR = 2022
SOURCES = (
    ("NSTW", "Ngân sách trung ương", "1", True),
    ("NSDP_TINH", "Ngân sách địa phương cấp tỉnh", "2", True),
    ("NSDP_XA", "Ngân sách địa phương cấp xã", "2", True),
    ("CTMTQG", "Chương trình mục tiêu quốc gia", "1", True),
    ("TPCP", "Trái phiếu Chính phủ", "1", True),
    ("ODA", "Vốn ODA và vay ưu đãi", "3", True),
    ("XHH", "Xã hội hóa", "4", False),
)
WORKS = (
    ("01", "Đường liên xã"),
    ("01", "Cầu dân sinh"),
    ("02", "Trường mầm non"),
    ("02", "Nhà lớp học"),
    ("03", "Trạm y tế"),
    ("04", "Kè chống sạt lở"),
    ("04", "Hồ chứa nước"),
    ("04", "Kênh mương nội đồng"),
    ("05", "Hệ thống cấp nước sạch"),
    ("05", "Điện chiếu sáng"),
    ("06", "Nhà văn hóa"),
    ("07", "Trụ sở làm việc"),
    ("08", "Nền tảng dữ liệu dùng chung"),
)
BOARDS = (
    "Ban Quản lý dự án đầu tư xây dựng tỉnh",
    "Ban Quản lý dự án giao thông",
    "Ban Quản lý dự án nông nghiệp và phát triển nông thôn",
    "Ban Quản lý khu kinh tế",
    "Sở Xây dựng",
    "Sở Y tế",
    "Sở Giáo dục và Đào tạo",
    "Sở Nông nghiệp và Môi trường",
    "Sở Khoa học và Công nghệ",
)
BUILDERS = (
    "Hưng Thịnh",
    "Trường Sơn",
    "Gio Linh",
    "Nhật Lệ",
    "Thạch Hãn",
    "Bến Hải",
    "Đại Phong",
    "Hiền Lương",
    "Phong Nha",
    "Cửa Việt",
)


def project_count(citizens: int) -> int:
    """Projects of a province of that size."""
    return max(60, int(1600 * (citizens / 1_000_000) ** 0.8))


@dataclass(frozen=True)
class Projects:
    """The hidden projects: what the tables tell of. Amounts in triệu đồng."""

    code: Array
    place: np.ndarray
    approved: np.ndarray
    started: np.ndarray
    ends: np.ndarray
    total: np.ndarray
    owner: np.ndarray
    level: np.ndarray
    status: np.ndarray
    work: np.ndarray
    source: np.ndarray
    second_source: np.ndarray


def build(world: World, citizens: int) -> Projects:
    """The projects of a seed."""
    rng = stream(world.seed, "investment", "projects")
    n = project_count(citizens)
    first = int(text.new_year(FIRST_YEAR))
    approved = np.sort(rng.integers(first - 200, world.profile.as_of - 20, n))
    level = rng.choice([0, 1, 3], n, p=[0.04, 0.56, 0.40])
    early = (level == 3) & (approved < world.profile.reform)
    level = np.where(early, 2, level)
    total = (
        np.exp(np.where(level < 2, rng.normal(10.6, 1.0, n), rng.normal(8.4, 0.8, n))).astype(np.int64) // 10 * 10 + 500
    )
    started = approved + rng.integers(30, 240, n)
    years = np.clip(np.log(total / 300), 1, 5)
    ends = started + (years * 300 + rng.integers(60, 300, n)).astype(np.int64)
    status = np.where(started > world.profile.as_of, 1, np.where(ends < world.profile.as_of, 4, 2))
    status = np.where(
        (status == 4) & (rng.random(n) < 0.4), 5, np.where((status == 2) & (rng.random(n) < 0.04), 3, status)
    )
    place = rng.integers(0, world.units.n, n)
    boards = len(BOARDS)
    owner = np.where(level < 2, rng.integers(0, boards, n), boards + place)
    source = np.select(
        [level == 0, level == 1], [0, rng.choice([0, 1, 3, 4], n, p=[0.25, 0.5, 0.15, 0.1])], rng.choice([2, 3], n)
    )
    return Projects(
        text.concat("8", text.fixed(np.arange(n) * 13 % 1_000_000, 6)),
        place, approved, started, ends, total, owner, level, status,
        rng.integers(0, len(WORKS), n), source, np.where(rng.random(n) < 0.35, rng.choice([1, 5, 6], n), -1),
    )  # fmt: skip


def chu_dau_tu(world: World) -> Table:
    """Owners: the boards and departments of the province, then one for each old commune (closed since the reform), then the new ones."""
    units, boards = world.units, len(BOARDS)
    n = boards + units.n + units.n_new
    old, new = np.arange(units.n), np.arange(units.n_new)
    at_new = np.argsort(units.new, kind="stable")[np.searchsorted(np.sort(units.new), new)]
    place = np.concatenate([np.zeros(boards, dtype=np.int64), old, at_new])
    after = np.concatenate([np.ones(boards, bool), np.zeros(units.n, bool), np.ones(units.n_new, bool)])
    index = np.arange(n)
    names = pa.concat_arrays(
        [
            text.pool(BOARDS),
            text.concat("UBND ", units.old_name, ", ", units.district_name),
            text.concat("UBND ", units.new_name),
        ]
    )
    successor = text.pick(owner_codes(world), boards + units.n + units.new)
    heir = pa.concat_arrays([text.const(None, boards), successor, text.const(None, units.n_new)])
    return Table(
        "investment",
        "chu_dau_tu",
        "ma_chu_dau_tu",
        {
            "ma_chu_dau_tu": owner_codes(world),
            "ten": names,
            "cap": text.either(index < boards, "1", "3"),
            "ma_xa": world.units.code(place, after),
            "ma_huyen": world.units.district_code(place, after),
            "ma_tinh": world.units.province_code(place, after),
            "dang_hoat_dong": pa.array(after),
            "ma_co_quan_ke_thua": heir,
        },
    )


def owner_codes(world: World) -> Array:
    """ma_chu_dau_tu of every owner."""
    boards, units = len(BOARDS), world.units
    former = text.either(np.array(units.province.to_pylist()) == "44", "H46.", "H50.")
    return pa.concat_arrays(
        [
            text.concat("H50.", text.fixed(np.arange(boards) + 11, 2)),
            text.concat(former, "30.", text.fixed(np.arange(units.n) + 1, 3)),
            text.concat("H50.60.", text.fixed(np.arange(units.n_new) + 1, 3)),
        ]
    )


def nguon_von() -> Table:
    """Sources of money."""
    names = ("ma_nguon_von", "ten", "nhom", "trong_ngan_sach")
    return Table(
        "investment",
        "nguon_von",
        "ma_nguon_von",
        {name: pa.array([row[at] for row in SOURCES]) for at, name in enumerate(names)},
    )


def _stamps(world: World, rng: np.random.Generator, day: np.ndarray) -> dict[str, Array]:
    minutes = np.minimum(day, world.profile.as_of) * MINUTES + rng.integers(450, 4000, len(day))
    return {"ngay_cap_nhat": stamped(world.profile.as_of, minutes, rng), "da_xoa": falses(len(day))}


def du_an(world: World, projects: Projects) -> Table:
    """Projects."""
    rng = stream(world.seed, "investment", "du_an")
    n = len(projects.place)
    after = projects.approved >= world.profile.reform
    boards, units = len(BOARDS), world.units
    owner = np.where((projects.owner >= boards) & after, boards + units.n + units.new[projects.place], projects.owner)
    group = text.either(projects.total > 2_300_000, "A", text.either(projects.total > 120_000, "B", "C"))
    name = text.concat(text.pick(text.pool([row[1] for row in WORKS]), projects.work), " ")
    where = text.either(
        after, text.pick(units.new_name, units.new[projects.place]), text.pick(units.old_name, projects.place)
    )
    return Table(
        "investment",
        "du_an",
        "ma_du_an",
        {
            "ma_du_an": projects.code,
            "ten": text.concat(name, where, text.either(rng.random(n) < 0.4, " (giai đoạn 2)", "")),
            "nhom": group,
            "ma_chu_dau_tu": text.pick(owner_codes(world), owner),
            "cap_quyet_dinh": text.number(projects.level),
            "linh_vuc": text.pick(text.pool([row[0] for row in WORKS]), projects.work),
            "dia_diem": text.concat("{", units.code(projects.place, after), "}"),
            "ma_huyen": units.district_code(projects.place, after),
            "ma_tinh": units.province_code(projects.place, after),
            "ngay_phe_duyet": text.dates(projects.approved),
            "tong_muc_dau_tu": pa.array(projects.total * 1_000_000),
            "ngay_khoi_cong": text.dates(projects.started),
            "ngay_hoan_thanh": text.dates(projects.ends),
            "trang_thai": text.number(projects.status),
            **_stamps(world, rng, np.maximum(projects.approved, world.profile.as_of - 300)),
        },
        place=projects.place,
        after=after,
    )


def quyet_dinh(world: World, projects: Projects) -> Table:
    """Decisions: policy, investment, some amendments."""
    rng = stream(world.seed, "investment", "quyet_dinh")
    n = len(projects.place)
    amended = np.flatnonzero((rng.random(n) < 0.25) & (projects.approved + 200 < world.profile.as_of))
    project = np.concatenate([np.arange(n), np.arange(n), amended])
    kind = np.repeat([1, 2, 3], [n, n, len(amended)])
    gap = rng.integers(30, 150, len(project))
    day = projects.approved[project] + np.where(kind == 1, -gap, np.where(kind == 3, gap + 40, 0))
    order = np.argsort(day, kind="stable")
    project, kind, day = project[order], kind[order], day[order]
    factor = np.where(
        kind == 1, rng.uniform(0.95, 1.1, len(kind)), np.where(kind == 3, rng.uniform(1.02, 1.25, len(kind)), 1.0)
    )
    agency = text.either(
        projects.level[project] < 2, "UBND tỉnh", text.either(projects.level[project] == 2, "UBND huyện", "UBND xã")
    )
    return Table(
        "investment",
        "quyet_dinh",
        "id",
        {
            "id": serial_ids(1, len(project)),
            "ma_du_an": text.pick(projects.code, project),
            "so_quyet_dinh": text.concat(text.number(serials(text.year(day)) + 101), "/QĐ-UBND"),
            "loai": text.number(kind),
            "ngay_ban_hanh": text.dates(day),
            "co_quan_ban_hanh": agency,
            "gia_tri": pa.array((projects.total[project] * factor).astype(np.int64) * 1_000_000),
            "trich_yeu": text.pick(
                text.pool(["Về chủ trương đầu tư", "Về phê duyệt dự án", "Về điều chỉnh dự án"]), kind - 1
            ),
            **_stamps(world, rng, day),
        },
    )


@dataclass(frozen=True)
class Plans:
    """Yearly plans: project, source, budget year, amount in triệu đồng."""

    project: np.ndarray
    source: np.ndarray
    year: np.ndarray
    amount: np.ndarray


def plans(world: World, projects: Projects) -> Plans:
    """The yearly plans of every project from its start to its end."""
    rng = stream(world.seed, "investment", "plans")
    last = int(text.year(np.array([world.profile.as_of]))[0])
    begin = np.maximum(text.year(projects.started), FIRST_YEAR)
    count = np.clip(np.minimum(text.year(projects.ends), last) - begin + 1, 0, None)
    project = np.repeat(np.arange(len(count)), count)
    year = begin[project] + serials(project)
    span = np.maximum(text.year(projects.ends) - text.year(projects.started) + 1, 1)[project]
    amount = np.round(projects.total[project] / span * rng.uniform(0.7, 1.15, len(project))).astype(np.int64)
    second = projects.second_source[project]
    both = (second >= 0) & (second != projects.source[project])
    minor = np.flatnonzero(both)
    part = np.where(both, amount * 3 // 10, 0)
    return Plans(
        np.concatenate([project, project[minor]]),
        np.concatenate([projects.source[project], second[minor]]),
        np.concatenate([year, year[minor]]),
        np.maximum(np.concatenate([amount - part, part[minor]]), 1),
    )


def ke_hoach_von(world: World, projects: Projects, yearly: Plans) -> Table:
    """Yearly plans, most of them in triệu đồng."""
    rng = stream(world.seed, "investment", "ke_hoach_von")
    n = len(yearly.project)
    in_dong = rng.random(n) < 0.12
    day = text.new_year(yearly.year) - 25 + rng.integers(0, 20, n)
    day = np.maximum(day, projects.approved[yearly.project])
    amount = np.where(in_dong, yearly.amount * 1_000_000, yearly.amount)
    return Table(
        "investment",
        "ke_hoach_von",
        "id",
        {
            "id": serial_ids(1, n),
            "ma_du_an": text.pick(projects.code, yearly.project),
            "ma_nguon_von": text.pick(text.pool([row[0] for row in SOURCES]), yearly.source),
            "nam": pa.array(yearly.year),
            "loai": text.const("2", n),
            "so_von": pa.array(amount),
            "don_vi_tinh": text.either(in_dong, "đồng", "triệu đồng"),
            "so_quyet_dinh_giao": text.concat(text.number(rng.integers(100, 4000, n)), "/QĐ-UBND"),
            "ngay_giao": text.dates(day),
            **_stamps(world, rng, day),
        },
    )


def month_end(year: np.ndarray, month: np.ndarray) -> np.ndarray:
    """Last day of month 1 to 13 of a budget year (13: January of the next year)."""
    index = (np.asarray(year) - 1970) * 12 + np.asarray(month)
    return index.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) - 1


def giai_ngan(world: World, projects: Projects, yearly: Plans) -> Table:
    """Money paid by month; a few years end above their plan."""
    rng = stream(world.seed, "investment", "giai_ngan")
    as_of = world.profile.as_of
    n = len(yearly.project)
    reached = np.select([rng.random(n) < 0.04], [rng.uniform(1.01, 1.15, n)], rng.uniform(0.55, 1.0, n))
    plan = np.repeat(np.arange(n), 13)
    month = np.tile(np.arange(1, 14), n)
    closed = month_end(yearly.year[plan], month)
    from_start = closed >= projects.started[yearly.project[plan]]
    weight = np.where(from_start, (0.2 + month / 6.5 + (month > 11)) * rng.uniform(0.4, 1.6, len(plan)), 0.0)
    total = np.bincount(plan, weights=weight, minlength=n)
    share = weight / np.maximum(total, 1e-9)[plan]
    paid = np.round(yearly.amount[plan] * 1000 * reached[plan] * share).astype(np.int64) * 1000
    running = np.cumsum(paid)
    running -= np.repeat(running[::13] - paid[::13], 13)
    keep = np.flatnonzero(from_start & (closed <= as_of) & (paid > 0))
    keep = keep[np.argsort(closed[keep], kind="stable")]
    plan, month, closed = plan[keep], month[keep], closed[keep]
    year = yearly.year[plan]
    locked = month_end(year, np.full(len(keep), 13)) < as_of
    status = np.where(locked, 3, np.where(closed > as_of - 20, 1, 2))
    voucher = text.concat("CT", text.fixed(year % 100, 2), "-", text.fixed(np.arange(len(keep)) + 1, 6))
    return Table(
        "investment",
        "giai_ngan",
        "id",
        {
            "id": serial_ids(1, len(keep)),
            "ma_du_an": text.pick(projects.code, yearly.project[plan]),
            "ma_nguon_von": text.pick(text.pool([row[0] for row in SOURCES]), yearly.source[plan]),
            "nam": pa.array(year),
            "thang": pa.array(month),
            "so_tien_thang": pa.array(paid[keep]),
            "luy_ke_nam": pa.array(running[keep]),
            "so_chung_tu": voucher,
            "ngay_bao_cao": text.dates(closed),
            "trang_thai": text.number(status),
            **_stamps(world, rng, closed),
        },
    )


def tax_codes(serial: np.ndarray) -> Array:
    """Valid 10-digit tax numbers: serials for which the check digit exists."""
    base = 3_200_000_00 + np.asarray(serial, dtype=np.int64)
    weights = np.array([31, 29, 23, 19, 17, 13, 7, 5, 3])
    for _ in range(20):
        digits = base[:, None] // 10 ** np.arange(8, -1, -1) % 10
        check = 10 - (digits * weights).sum(axis=1) % 11
        if not (check == 10).any():
            break
        base = np.where(check == 10, base + 10_000, base)
    return text.concat(text.fixed(base, 9), text.fixed(check, 1))


def hop_dong(world: World, projects: Projects) -> Table:
    """Contracts of projects that have begun: design, building, some equipment."""
    rng = stream(world.seed, "investment", "hop_dong")
    begun = np.flatnonzero(projects.started <= world.profile.as_of)
    count = 2 + rng.integers(0, 2, len(begun))
    project = np.repeat(begun, count)
    line = serials(project)
    n = len(project)
    share = np.select(
        [line == 0, line == 1], [rng.uniform(0.03, 0.08, n), rng.uniform(0.6, 0.8, n)], rng.uniform(0.05, 0.15, n)
    )
    day = np.maximum(projects.started[project] - rng.integers(1, 60, n), projects.approved[project])
    number = text.concat(
        text.fixed(line + 1, 2), "/", text.fixed(text.year(day), 4), "/HĐ-", text.pick(projects.code, project)
    )
    firm = rng.integers(0, len(BUILDERS) * 4, n)
    kinds = text.pool(["Công ty TNHH Xây dựng ", "Công ty cổ phần ", "Công ty cổ phần Tư vấn ", "Công ty TNHH MTV "])
    firm_name = text.concat(
        text.pick(kinds, firm // len(BUILDERS)), text.pick(text.pool(BUILDERS), firm % len(BUILDERS))
    )
    packages = text.pool(["Tư vấn khảo sát, thiết kế", "Thi công xây lắp", "Cung cấp, lắp đặt thiết bị"])
    return Table(
        "investment",
        "hop_dong",
        "id",
        {
            "id": serial_ids(1, n),
            "ma_du_an": text.pick(projects.code, project),
            "so_hop_dong": number,
            "ten_goi_thau": text.pick(packages, line),
            "loai": text.number(line + 1),
            "hinh_thuc": text.number(rng.choice([1, 2, 3], n, p=[0.6, 0.3, 0.1])),
            "nha_thau": firm_name,
            "ma_so_thue": text.pick(tax_codes(np.arange(len(BUILDERS) * 4) * 137), firm),
            "gia_tri": pa.array((projects.total[project] * share).astype(np.int64) * 1_000_000),
            "ngay_ky": text.dates(day),
            "ngay_ket_thuc": text.dates(np.maximum(projects.ends[project], day + 30)),
            **_stamps(world, rng, day),
        },
    )


ISSUES = (
    ("1", "Chưa bàn giao đủ mặt bằng", "UBND xã nơi có dự án"),
    ("2", "Chậm thẩm định thiết kế", "Sở Xây dựng"),
    ("3", "Chưa bố trí đủ vốn đối ứng", "Sở Tài chính"),
    ("4", "Nhà thầu thi công chậm tiến độ", "Chủ đầu tư"),
    ("5", "Thiếu đất đắp, giá vật liệu tăng", "Sở Nông nghiệp và Môi trường"),
)


def vuong_mac(world: World, projects: Projects) -> Table:
    """Obstacles of running projects."""
    rng = stream(world.seed, "investment", "vuong_mac")
    as_of = world.profile.as_of
    project = np.flatnonzero((projects.started < as_of - 40) & (rng.random(len(projects.place)) < 0.45))
    n = len(project)
    issue = rng.integers(0, len(ISSUES), n)
    span = np.minimum(projects.ends[project], as_of - 5) - projects.started[project]
    day = projects.started[project] + (rng.random(n) * span).astype(np.int64)
    solved = day + rng.integers(20, 200, n)
    done = solved <= as_of
    homes = text.number(rng.integers(1, 60, n))
    detail = text.concat('{"so_ho": ', homes, ', "dien_tich_ha": ', text.number(rng.integers(1, 30, n)), "}")
    return Table(
        "investment",
        "vuong_mac",
        "id",
        {
            "id": serial_ids(1, n),
            "ma_du_an": text.pick(projects.code, project),
            "loai": text.pick(text.pool([row[0] for row in ISSUES]), issue),
            "muc_do": text.number(rng.choice([1, 2, 3], n, p=[0.3, 0.5, 0.2])),
            "noi_dung": text.pick(text.pool([row[1] for row in ISSUES]), issue),
            "co_quan_xu_ly": text.pick(text.pool([row[2] for row in ISSUES]), issue),
            "ngay_phat_sinh": text.dates(day),
            "han_giai_quyet": text.dates(day + 90),
            "ngay_giai_quyet": text.dates(np.where(done, solved, 0), done),
            "chi_tiet": text.only(issue == 0, detail),
            **_stamps(world, rng, np.where(done, solved, day)),
        },
    )


def tables(world: World, citizens: int) -> list[Table]:
    """All tables of the sector."""
    projects = build(world, citizens)
    yearly = plans(world, projects)
    return [
        chu_dau_tu(world),
        nguon_von(),
        du_an(world, projects),
        quyet_dinh(world, projects),
        ke_hoach_von(world, projects, yearly),
        giai_ngan(world, projects, yearly),
        hop_dong(world, projects),
        vuong_mac(world, projects),
    ]
