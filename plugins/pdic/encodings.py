"""Texts of databases that say nothing of their encoding (SQL_ASCII), read as a contract says: TCVN3, VNI, windows-1258 …

Values travel as bytes (`bytea`) and are read by the warehouse's function `clean.read_as`, which is made from the tables here. Names of
tables and columns come as text in which each byte is the letter of Latin-1 with that number: `decoded` reads them here.

A byte that the encoding does not know becomes a letter of Unicode's private range, U+F780 to U+F7FF: nothing is lost, and a rule
sends the row to quarantine by it.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Iterable
from typing import Final

HIGH: Final = "".join(map(chr, range(0x80, 0x100)))
_UNREADABLE: Final = "".join(chr(0xF700 + byte) for byte in range(0x80, 0x100))
UNREADABLE: Final = r"[\uF780-\uF7FF]"
"""A pattern of the letters that stand for bytes which could not be read."""

TCVN3_FROM: Final = "µ¶·¸¹»¼½¾ÆÇÈÉÊËÌÎÏÐÑÒÓÔÕÖ×ØÜÝÞßáâãäåæçèéêëìíîïñòóôõö÷øùúûüýþ¨©ª«¬\u00ad®¡¢£¤¥¦§"
TCVN3_TO: Final = "àảãáạằẳẵắặầẩẫấậèẻẽéẹềểễếệìỉĩíịòỏõóọồổỗốộờởỡớợùủũúụừửữứựỳỷỹýỵăâêôơưđĂÂÊÔƠƯĐ"
"""TCVN 5712:1993 (VN3). Capitals with a tone have no byte: their fonts draw the small ones as capitals."""

VNI_FROM: Final = "ùøûõïáàåãäéèúüëÙØÛÕÏÁÀÅÃÄÉÈÚÜËôöæóòîñÔÖÆÓÒÎÑâêÂÊ"
VNI_TO: Final = "\u0301\u0300\u0309\u0303\u0323" * 6 + "ơưỉĩịỵđƠƯỈĨỊỴĐ"
"""A letter that stands for a tone follows its vowel; six letters and đ stand for themselves; â and ê, which are marks only, go."""
_VNI_CIRCUMFLEX: Final = "áàåãäâÁÀÅÃÄÂ"
_VNI_BREVE: Final = "éèúüëêÉÈÚÜËÊ"
VNI_PAIRS: Final = "[aeouyôöAEOUYÔÖ][ùøûõïáàåãäéèúüëâêÙØÛÕÏÁÀÅÃÄÉÈÚÜËÂÊ]|[ôöíìæóòîñÔÖÍÌÆÓÒÎÑ]"
_VNI: Final = rf"^([\u0001-\u007f\u00a0\u2010-\u2026]|{VNI_PAIRS})+$"

_PUNCTUATION: Final = {
    byte: bytes([byte]).decode("cp1252") for byte in (0x85, 0x91, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97)
}
"""Quotes and dashes that Windows programs write in whatever font."""
_UTF8: Final = (
    r"^([\u0001-\u007f]|[\u00c2-\u00df][\u0080-\u00bf]|\u00e0[\u00a0-\u00bf][\u0080-\u00bf]"
    r"|[\u00e1-\u00ec\u00ee\u00ef][\u0080-\u00bf]{2}|\u00ed[\u0080-\u009f][\u0080-\u00bf]"
    r"|\u00f0[\u0090-\u00bf][\u0080-\u00bf]{2}|[\u00f1-\u00f3][\u0080-\u00bf]{3}|\u00f4[\u0080-\u008f][\u0080-\u00bf]{2})*$"
)


def _of_codec(codec: str) -> str:
    """The 128 letters of the high bytes."""
    letters = []
    for byte in range(0x80, 0x100):
        try:
            letters.append(bytes([byte]).decode(codec))
        except UnicodeDecodeError:
            letters.append(chr(0xF700 + byte))
    return "".join(letters)


def _tcvn3() -> str:
    known = dict(zip(map(ord, TCVN3_FROM), TCVN3_TO, strict=True)) | _PUNCTUATION | {0xA0: "\u00a0"}
    return "".join(known.get(byte, chr(0xF700 + byte)) for byte in range(0x80, 0x100))


TABLES: Final = {
    "tcvn3": _tcvn3(),
    "windows-1258": _of_codec("cp1258"),
    "windows-1252": _of_codec("cp1252"),
    "latin1": _of_codec("latin-1"),
}
"""Encoding → what its bytes from 0x80 on are. The others take several bytes for a letter."""

NAMES: Final = ("tcvn3", "vni", "windows-1258", "windows-1252", "latin1", "utf-8")
"""What a contract may say."""

OF_SERVERS: Final = {"WIN1258": "windows-1258", "WIN1252": "windows-1252", "LATIN1": "latin1", "UTF8": "utf-8"}
"""A database that does name its encoding can only be read as that one."""

SQL_ASCII: Final = "SQL_ASCII"


def decoded(carried: str, encoding: str) -> str:
    """A text in which each byte is the letter of Latin-1 with that number, as `encoding` reads it."""
    if carried.isascii():
        return carried
    if table := TABLES.get(encoding):
        return carried.translate(dict(zip(map(ord, HIGH), table, strict=True)))
    if encoding == "utf-8" and re.search(_UTF8, carried):
        return carried.encode("latin-1").decode()
    if encoding == "vni" and re.search(_VNI, text := carried.translate(_PUNCTUATION)):
        text = re.sub(f"[{_VNI_CIRCUMFLEX}]", "\u0302\\g<0>", text)
        text = re.sub(f"[{_VNI_BREVE}]", "\u0306\\g<0>", text)
        gone = dict.fromkeys(map(ord, VNI_FROM[len(VNI_TO) :]))
        return unicodedata.normalize("NFC", text.translate(dict(zip(map(ord, VNI_FROM), VNI_TO, strict=False)) | gone))
    return carried.translate(dict(zip(map(ord, HIGH), _UNREADABLE, strict=True)))


def is_utf8(carried: str) -> bool:
    """Whether the bytes of a text (a letter of Latin-1 each) are UTF-8."""
    return carried.isascii() or re.search(_UTF8, carried) is not None


def likeliest(carried: Iterable[str]) -> str:
    """The encoding by which most words of these texts are Vietnamese, and no byte is unreadable; the first of `NAMES` of equals.

    Texts of a Western language are read alike by windows-1252 and most others, so that one is taken where no word is Vietnamese.
    """
    words = [word for text in carried for word in text.split() if not word.isascii()]
    points = {name: sum(map(_points, (decoded(word, name) for word in words))) for name in NAMES if name != "latin1"}
    best = max(points, key=points.__getitem__)
    return best if points[best] > 0 else "windows-1252"


def _points(word: str) -> int:
    """How much a word says for the encoding that it was read by."""
    if re.search(UNREADABLE, word):
        return -1
    apart = unicodedata.normalize("NFD", word.lower().replace("\u0111", "d").strip(string.punctuation + "\u2013\u2014"))
    tones = sum(apart.count(tone) for tone in VNI_TO[:5])
    bare = "".join(letter for letter in apart if not unicodedata.combining(letter))
    return 1 if tones <= 1 and _SYLLABLE.fullmatch(bare) else 0


_SYLLABLE: Final = re.compile(
    "(b|ch?|d|gh?|gi|h|kh?|l|m|nh?|ngh?|ph?|qu|r|s|th?|tr|v|x)?[aeiouy]{1,3}(ch|c|m|nh?|ng|p|t)?"
)
"""A Vietnamese word without its marks."""


def sql_functions() -> str:
    """The functions of the warehouse's schema `clean` that read such texts."""
    tables = "\n".join(
        f"        when '{name}' then return translate(carried, '{HIGH}', '{table}');" for name, table in TABLES.items()
    )
    return _FUNCTIONS.format(
        tables=tables,
        vni=_VNI,
        utf8=_UTF8,
        high=HIGH,
        unreadable=_UNREADABLE,
        punctuation="".join(map(chr, _PUNCTUATION)),
        marks="".join(_PUNCTUATION.values()),
        tcvn3_from=TCVN3_FROM,
        tcvn3_to=TCVN3_TO,
        vni_from=VNI_FROM,
        vni_to=VNI_TO,
        circumflex=_VNI_CIRCUMFLEX,
        breve=_VNI_BREVE,
    )


_FUNCTIONS: Final = r"""
-- Made from plugins/pdic/encodings.py. `value` holds a letter of Latin-1 for each byte.
create or replace function clean.from_tcvn3(value text) returns text
language sql immutable strict parallel safe
begin atomic
    select translate(value, '{tcvn3_from}', '{tcvn3_to}');
end;

create or replace function clean.from_vni(value text) returns text
language sql immutable strict parallel safe
begin atomic
    select normalize(translate(
        regexp_replace(
            regexp_replace(value, '[{circumflex}]', U&'\0302\005C&', 'g'),
            '[{breve}]', U&'\0306\005C&', 'g'
        ),
        '{vni_from}', '{vni_to}'
    ), nfc);
end;

-- A text of an encoding that its database does not name. Bytes that cannot be read become letters from U+F780 to U+F7FF.
create or replace function clean.read_as(value bytea, encoding text) returns text
language plpgsql immutable strict parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
    carried text := convert_from(value, 'LATIN1');
    marked text;
begin
    if carried !~ '[\u0080-\u00ff]' then
        return carried;
    end if;
    case encoding
{tables}
        when 'utf-8' then
            if carried ~ '{utf8}' then
                return convert_from(value, 'UTF8');
            end if;
        when 'vni' then
            marked := translate(carried, '{punctuation}', '{marks}');
            if marked ~ '{vni}' then
                return clean.from_vni(marked);
            end if;
    end case;
    return translate(carried, '{high}', '{unreadable}');
end
$$;
"""
