"""What the gate does without a database: when it imports, how it names databases, what its texts may say."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pdic.quality.gate import sqlalchemy_url
from pdic.quality.rule_types import RULE_TYPES, Engine
from pdic.quality.safe_text import safe_class, safe_text


def test_the_quality_room_is_imported_without_great_expectations() -> None:
    code = "import sys, pdic.quality; print(sorted({'great_expectations', 'pandas', 'sqlalchemy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_great_expectations_is_imported_silently_and_sends_nothing() -> None:
    code = (
        "import logging; logging.basicConfig(level=logging.DEBUG)\n"
        "import socket\n"
        "def refuse(*a, **k): raise SystemExit('the network was used')\n"
        "socket.socket.connect = refuse\n"
        "import os\n"
        "from pdic.quality.gate import _context, import_great_expectations\n"
        "_context(import_great_expectations())\n"
        "print(os.environ['GX_ANALYTICS_ENABLED'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "false"
    assert "great_expectations" not in done.stderr


def test_libraries_of_rules_that_nobody_asked_for_are_imported_when_somebody_does() -> None:
    code = (
        "import sys\n"
        "from pdic.quality.gate import import_great_expectations\n"
        "import_great_expectations()\n"
        "inner = {'scipy.stats._stats_py', 'altair.vegalite'}\n"
        "print(sorted(inner & set(sys.modules)))\n"
        "import_great_expectations()\n"
        "from great_expectations.expectations.core import expect_column_kl_divergence_to_be_less_than as rule\n"
        "print(rule.stats.entropy([0.5, 0.5]) > 0, rule.alt.Chart.__name__, sorted(inner & set(sys.modules)))\n"
        "import altair, scipy.stats\n"
        "print(scipy.stats.norm.cdf(0), altair.Chart is rule.alt.Chart)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "[]",
        "True Chart ['altair.vegalite', 'scipy.stats._stats_py']",
        "0.5 True",
    ]


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("postgresql://a:b@127.0.0.1:5433/warehouse", "postgresql+psycopg2://a:b@127.0.0.1:5433/warehouse"),
        ("postgresql://a:p%24HOME%40@db/warehouse", "postgresql+psycopg2://a:p%24HOME%40@db/warehouse"),
        ("postgresql:///warehouse?host=/run/pg", "postgresql+psycopg2://localhost/warehouse?host=%2Frun%2Fpg"),
    ],
)
def test_a_libpq_uri_becomes_one_that_great_expectations_takes(uri: str, expected: str) -> None:
    assert sqlalchemy_url(uri) == expected


def test_great_expectations_knows_each_of_its_rule_types() -> None:
    from great_expectations.expectations.registry import get_expectation_impl

    for name, rule_type in RULE_TYPES.items():
        if rule_type.engine is Engine.GX:
            fields = set(get_expectation_impl(name).__fields__)
            assert rule_type.required | rule_type.optional <= fields, name


def test_a_foreign_error_is_named_and_not_quoted() -> None:
    assert safe_text(ValueError("Nguyễn Văn A")) == "ValueError"
    traceback = (
        'Traceback (most recent call last):\n  File "x.py", line 1\n'
        'psycopg2.errors.InvalidTextRepresentation: invalid input syntax for type integer: "Nguyễn Văn A"\n'
        "great_expectations.exceptions.exceptions.MetricResolutionError: (psycopg2.errors.InvalidTextRepresentation) "
        'invalid input syntax: "Nguyễn Văn A"\n'
    )
    assert safe_class(traceback).startswith("InvalidTextRepresentation: ")
    assert "Nguyễn" not in safe_class(traceback)
    assert safe_class('File "x"\nTypeError: Nguyễn Văn A').startswith("TypeError: ")
    assert safe_class("Nguyễn Văn A").startswith("an unknown error")
