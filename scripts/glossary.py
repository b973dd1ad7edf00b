"""Write the generated half of docs/glossary.md from the contracts and the code lists.

The nouns above the marker are written by hand; below it stand the datasets, the columns' names in both languages and
the columns of each code list, which follow from ``contracts/`` and ``dbt_project/seeds/code_list.csv``::

    python scripts/glossary.py            # rewrite the generated half
    python scripts/glossary.py --check    # exit 1 when it would change
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from pdic.contracts import Column, Contract, load_all

ROOT = Path(__file__).resolve().parent.parent
GLOSSARY = ROOT / "docs" / "glossary.md"
CODE_LIST = ROOT / "dbt_project" / "seeds" / "code_list.csv"
MARKER = "<!-- Below this line: python scripts/glossary.py -->"

SECTORS = {
    "education": "Giáo dục / Education",
    "health": "Y tế / Health",
    "civil_registry": "Hộ tịch / Civil registry",
    "investment": "Đầu tư công / Public investment",
    "one_stop": "Một cửa / One-stop",
}
# Columns whose codes are not an enum of the contract (arrays, free text, long lists): source column → list.
LISTED_ELSEWHERE: Mapping[tuple[str, str], str] = {
    ("education", "dantoc"): "ethnicity",
    ("education", "quoctich"): "nationality",
    ("education", "cackhoi"): "grade",
    ("education", "cacmonday"): "subject",
    ("health", "MA_DANTOC"): "ethnicity",
    ("health", "MA_DANTOC_ME"): "ethnicity",
    ("health", "MA_KHOA"): "department",
    ("civil_registry", "truongCaiChinh"): "corrected_field",
    ("investment", "ma_nguon_von"): "funding_source",
    ("one_stop", "MaLinhVuc"): "procedure_field",
}
FREE_TEXT_LISTS = {"DanToc": "ethnicity", "QuocTich": "nationality"}

# {(list, sector): {source code: Vietnamese label}}
CodeLists = Mapping[tuple[str, str], Mapping[str, str]]


def read_code_lists(path: Path = CODE_LIST) -> CodeLists:
    """Return the code lists of the seed."""
    lists: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            lists[row["list"], row["sector"]][row["source_code"]] = row["name_vi"]
    return dict(lists)


def same_label(contract_label: str, list_label: str) -> bool:
    """Return whether two labels say the same; notes in brackets and commas do not count, a missing label agrees."""
    plain = contract_label.split("(", maxsplit=1)[0].replace(",", "").strip().casefold()
    return not plain or plain == list_label.replace(",", "").casefold()


def list_of(sector: str, column: Column, lists: CodeLists) -> str | None:
    """Return the code list of a column, or None when the column carries no codes.

    Raises LookupError when the contract names codes that no single list of the sector holds with the same labels.
    """
    if (sector, column.source_name) in LISTED_ELSEWHERE:
        return LISTED_ELSEWHERE[sector, column.source_name]
    if sector == "civil_registry":
        for ending, name in FREE_TEXT_LISTS.items():
            if column.source_name.endswith(ending):
                return name
    codes = dict(zip(map(str, column.enum), column.enum_labels or ("",) * len(column.enum), strict=True))
    if not codes:
        return None
    fitting = {
        name: len(entries)
        for (name, of_sector), entries in lists.items()
        if of_sector == sector
        and all(code in entries and same_label(label, entries[code]) for code, label in codes.items())
    }
    best = [name for name, size in fitting.items() if size == min(fitting.values())]
    named = [name for name in best if name == column.name.removesuffix("_code")]
    if len(named or best) != 1:
        raise LookupError(
            f"{sector} {column.source_name}: its codes are in {sorted(best) or 'no list'}: see {CODE_LIST.name}"
        )
    return (named or best)[0]


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """Return a Markdown table."""
    titles = list(header)
    return [
        f"| {' | '.join(titles)} |",
        f"|{'---|' * len(titles)}",
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
    ]


def code(names: Iterable[str]) -> str:
    """Return the distinct names as Markdown code, in order."""
    return " ".join(f"`{name}`" for name in dict.fromkeys(names))


def dataset_section(contracts: Iterable[Contract]) -> list[str]:
    """Return the section of the datasets."""
    rows = (
        (SECTORS.get(c.sector, c.sector), f"`{c.dataset}`", f"`{c.entity}`", c.title, c.owner_agency) for c in contracts
    )
    return ["## Datasets", "", *table(("Sector", "Source table", "Entity", "Tên", "Owner"), rows)]


def column_sections(contracts: Iterable[Contract]) -> list[str]:
    """Return one section of column names per sector, and one of the names that several sectors share."""
    by_sector: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for contract in contracts:
        for column in contract.columns:
            by_sector[contract.sector][column.name].append(column.source_name)
    sectors = [sector for sector in SECTORS if sector in by_sector]
    shared = sorted(
        n for n in {n for names in by_sector.values() for n in names} if sum(n in by_sector[s] for s in sectors) > 1
    )
    lines = ["## Names that sectors share", "", "One meaning, one warehouse name; what each sector calls it.", ""]
    lines += table(
        ("Warehouse", *(SECTORS[sector] for sector in sectors)),
        ((f"`{name}`", *(code(by_sector[sector].get(name, ())) for sector in sectors)) for name in shared),
    )
    for sector in sectors:
        own = sorted(set(by_sector[sector]) - set(shared))
        lines += [f"## {SECTORS[sector]}: the other names", ""]
        lines += table(("Warehouse", "Source"), ((f"`{name}`", code(by_sector[sector][name])) for name in own))
    return lines


def code_list_section(contracts: Iterable[Contract], lists: CodeLists) -> list[str]:
    """Return the section that says which source columns carry which code list."""
    carriers: dict[tuple[str, str], list[str]] = {key: [] for key in sorted(lists)}
    for contract in contracts:
        for column in contract.columns:
            name = list_of(contract.sector, column, lists)
            if name is not None:
                carriers[name, contract.sector].append(f"{contract.dataset}.{column.source_name}")
    rows = (
        (f"`{name}`", SECTORS.get(sector, sector), str(len(lists[name, sector])), code(columns))
        for (name, sector), columns in carriers.items()
    )
    return [
        "## Code lists",
        "",
        "The seed `code_list` maps each sector's codes to common ones. Free text maps known spellings only.",
        "",
        *table(("List", "Sector", "Codes", "Source columns"), rows),
    ]


def render(hand_written: str, contracts: Iterable[Contract], lists: CodeLists) -> str:
    """Return the whole glossary."""
    known = sorted(contracts, key=lambda c: (list(SECTORS).index(c.sector), c.dataset))
    lines = [*dataset_section(known), *column_sections(known), *code_list_section(known, lists)]
    return f"{hand_written.split(MARKER, maxsplit=1)[0]}{MARKER}\n\n" + "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Write or check the glossary; returns the process exit code."""
    parser = argparse.ArgumentParser(description="Write the generated half of docs/glossary.md.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when the file would change")
    arguments = parser.parse_args(argv)
    before = GLOSSARY.read_text(encoding="utf-8")
    after = render(before, load_all().values(), read_code_lists())
    if before == after:
        return 0
    if arguments.check:
        print("docs/glossary.md differs: run python scripts/glossary.py")
        return 1
    GLOSSARY.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
