"""YAML in and out: reading that refuses repeated keys, writing that gives the same bytes every time."""

from __future__ import annotations

from typing import Any

import yaml


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


def load(text: str) -> Any:
    """The value of a YAML document. Raises yaml.YAMLError, also where a mapping names a key twice."""
    return yaml.load(text, Loader=_StrictLoader)  # noqa: S506  # a subclass of CSafeLoader


def dump(value: object) -> str:
    """``value`` as block-style YAML, keys in the order given, Unicode as it is."""
    return yaml.dump(value, Dumper=_IndentedDumper, sort_keys=False, allow_unicode=True, width=10_000)


def indented(text: str, columns: int) -> str:
    """YAML that :func:`dump` wrote, moved to the right."""
    return "".join(f"{' ' * columns}{line}\n" for line in text.splitlines())
