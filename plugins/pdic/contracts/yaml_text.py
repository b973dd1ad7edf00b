"""YAML in and out: reading that refuses repeated keys, writing that gives the same bytes every time."""

from __future__ import annotations

import re
from typing import Any, Final

import yaml

_TURNED: Final = re.compile("[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]")
"""Characters without a shape, those that turn the order of others round among them."""
_UNSEEN: Final = re.compile(f"[\x00-\x1f\x7f-\x9f\u2028\u2029]|{_TURNED.pattern}")
_LIKE_A_NUMBER: Final = re.compile(r"[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?|0[ox][0-9a-fA-F]+|[yYnN]")
"""What YAML 1.2, or an older reader, takes for a number or a flag and PyYAML for a word."""


class _StrictLoader(yaml.CSafeLoader):
    """Safe loading in which a key written twice is an error instead of a silent loss of the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is written twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


class _IndentedDumper(yaml.SafeDumper):
    """Writes list items indented under their key and never an alias, so that a file reads well and diffs well."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: _IndentedDumper, text: str) -> yaml.ScalarNode:
    """Text that other readers than this one would misread is put in quotes: as a number, or for what nobody sees in it."""
    style = "'" if _LIKE_A_NUMBER.fullmatch(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if _UNSEEN.search(text) else style)


_IndentedDumper.add_representer(str, _text)


def load(text: str) -> Any:
    """The value of a YAML document. Raises yaml.YAMLError, also where a mapping names a key twice."""
    return yaml.load(text, Loader=_StrictLoader)  # noqa: S506  # a subclass of CSafeLoader


def dump(value: object) -> str:
    """``value`` as block-style YAML, keys in the order given, Unicode as it is."""
    written = yaml.dump(value, Dumper=_IndentedDumper, sort_keys=False, allow_unicode=True, width=10_000)
    return _TURNED.sub(lambda letter: f"\\u{ord(letter[0]):04x}", written)


def dump_inline(value: object) -> str:
    """``value`` in one line, as a part of a document."""
    written = yaml.dump(
        value, Dumper=_IndentedDumper, default_flow_style=True, sort_keys=False, allow_unicode=True, width=1_000_000
    )
    return _TURNED.sub(lambda letter: f"\\u{ord(letter[0]):04x}", written).removesuffix("...\n").strip()


def indented(text: str, columns: int) -> str:
    """YAML that :func:`dump` wrote, moved to the right."""
    return "".join(f"{' ' * columns}{line}\n" for line in text.removesuffix("\n").split("\n"))
