"""Change a contract's text where it has to change, and leave every other character, comments included, as somebody wrote it."""

from __future__ import annotations

from typing import Any

import yaml

from pdic.contracts import yaml_text
from pdic.errors import OnboardError


class ContractText:
    """A contract's YAML under change. Columns are named as the source names them. `text` is the state after each change."""

    def __init__(self, text: str) -> None:
        self.text = text

    def set_version(self, version: str) -> None:
        """Say another version."""
        self._replace(self._field(self._root(), "version")[1], version)

    def set_table_kind(self, kind: str) -> None:
        """Say another physicalType of the table."""
        self._set(self._table(), "physicalType", kind)

    def set_field(self, column: str, field: str, value: Any) -> None:
        """Give a column's field this value, in the place of the former or after the type."""
        self._set(self._column(column), field, value)

    def remove_field(self, column: str, field: str) -> None:
        """Take a field out of a column, where it is there."""
        node = self._column(column)
        found = _find(node, field)
        if found is not None:
            self._remove_entry(node, found)

    def set_custom(self, column: str | None, name: str, value: Any) -> None:
        """Give a custom property of a column, or of the contract itself, this value."""
        _, properties = self._field(self._column(column) if column is not None else self._root(), "customProperties")
        for item in properties.value:
            if self._field(item, "property")[1].value == name:
                self._replace_entry(item, self._field(item, "value"), value)
                return
        entry = {"property": name, "value": value}
        if properties.flow_style:
            self._insert(_end(properties) - 1, f", {_inline(entry)}")
            return
        self._insert_item(properties, len(properties.value), entry, inline=bool(properties.value[-1].flow_style))

    def remove_custom(self, column: str | None, name: str) -> None:
        """Take a custom property of a column, or of the contract itself, away, where it is there."""
        _, properties = self._field(self._column(column) if column is not None else self._root(), "customProperties")
        for item in properties.value:
            if self._field(item, "property")[1].value == name:
                self._remove_item(properties, item)
                return

    def insert_column(self, entry: dict[str, Any], after: str | None) -> None:
        """Add a column after another, or before all."""
        columns = self._columns()
        names = [self._name(item) for item in columns.value]
        self._insert_item(columns, names.index(after) + 1 if after is not None else 0, entry)

    def remove_column(self, column: str) -> None:
        """Take a column out."""
        self._remove_item(self._columns(), self._column(column))

    # The document's nodes carry the places of their text. It is read anew for every change, which moves them.

    def _root(self) -> yaml.MappingNode:
        root = yaml.compose(self.text, Loader=yaml.SafeLoader)  # the pure loader: its marks count characters
        if not isinstance(root, yaml.MappingNode):
            raise OnboardError("the contract is not a mapping: correct it by hand")
        return root

    def _table(self) -> yaml.MappingNode:
        table: yaml.MappingNode = self._field(self._root(), "schema")[1].value[0]
        return table

    def _columns(self) -> yaml.SequenceNode:
        columns: yaml.SequenceNode = self._field(self._table(), "properties")[1]
        if columns.flow_style:
            raise OnboardError("the contract writes its columns in one pair of brackets: change it by hand")
        return columns

    def _column(self, name: str) -> yaml.MappingNode:
        for item in self._columns().value:
            if self._name(item) == name:
                return item  # type: ignore[no-any-return]
        raise KeyError(name)

    def _name(self, item: yaml.MappingNode) -> str:
        return str(self._field(item, "physicalName")[1].value)

    @staticmethod
    def _field(node: yaml.MappingNode, name: str) -> tuple[yaml.Node, Any]:
        found = _find(node, name)
        if found is None:
            raise OnboardError(f"the contract has no {name} where one belongs: correct it by hand")
        return found

    def _set(self, node: yaml.MappingNode, name: str, value: Any) -> None:
        found = _find(node, name)
        if found is not None:
            self._replace_entry(node, found, value)
            return
        _, anchor = self._field(node, "logicalType" if _find(node, "logicalType") else "physicalType")
        if node.flow_style:
            self._insert(_end(anchor), f", {_inline({name: value})[1:-1]}")
        else:
            self._insert(self._line_end(_end(anchor)), _indented({name: value}, node.start_mark.column))

    def _replace_entry(self, node: yaml.MappingNode, entry: tuple[yaml.Node, Any], value: Any) -> None:
        key, old = entry
        if isinstance(old, yaml.ScalarNode) and not isinstance(value, list | dict):
            self._replace(old, value)
        elif node.flow_style or getattr(old, "flow_style", False):
            self.text = self.text[: old.start_mark.index] + _inline(value) + self.text[_end(old) :]
        else:
            written = _indented({key.value: value}, node.start_mark.column).strip()
            self.text = self.text[: key.start_mark.index] + written + self.text[_end(old) :]

    def _replace(self, node: yaml.Node, value: Any) -> None:
        self.text = self.text[: node.start_mark.index] + _inline(value) + self.text[_end(node) :]

    def _remove_entry(self, node: yaml.MappingNode, entry: tuple[yaml.Node, Any]) -> None:
        if node.flow_style:
            self._cut(entry[0].start_mark.index, _end(entry[1]))
        else:
            start = self.text.rfind("\n", 0, entry[0].start_mark.index) + 1
            self.text = self.text[:start] + self.text[self._line_end(_end(entry[1])) :]

    def _remove_item(self, sequence: yaml.SequenceNode, item: yaml.Node) -> None:
        if sequence.flow_style:
            self._cut(item.start_mark.index, _end(item))
        else:
            start = self.text.rfind("\n", 0, item.start_mark.index) + 1
            self.text = self.text[:start] + self.text[self._line_end(_end(item)) :]

    def _cut(self, start: int, end: int) -> None:
        """Take a part of a flow collection out, and the comma that follows or goes before it."""
        after = len(self.text) - len(self.text[end:].lstrip())
        if self.text[after] == ",":
            end = after + 1
            end += len(self.text[end:]) - len(self.text[end:].lstrip(" "))
        else:
            start = self.text.rstrip().rfind(",", 0, start) if "," in self.text[:start] else start
        self.text = self.text[:start] + self.text[end:]

    def _insert_item(
        self, sequence: yaml.SequenceNode, place: int, entry: dict[str, Any], *, inline: bool = False
    ) -> None:
        first = sequence.value[0]
        line = self.text.rfind("\n", 0, first.start_mark.index) + 1
        column = self.text.index("-", line) - line
        written = f"{' ' * column}- {_inline(entry)}\n" if inline else _indented([entry], column)
        self._insert(line if place == 0 else self._line_end(_end(sequence.value[place - 1])), written)

    def _insert(self, at: int, text: str) -> None:
        if text.endswith("\n") and at and self.text[at - 1] != "\n":
            text = "\n" + text
        self.text = self.text[:at] + text + self.text[at:]

    def _line_end(self, at: int) -> int:
        end = self.text.find("\n", at)
        return len(self.text) if end < 0 else end + 1


def _find(node: yaml.MappingNode, name: str) -> tuple[yaml.Node, Any] | None:
    return next(((key, value) for key, value in node.value if key.value == name), None)


def _end(node: Any) -> int:
    """Where the node's own text ends: a block's mark lies beyond the comments that follow it."""
    if isinstance(node, yaml.ScalarNode) or node.flow_style or not node.value:
        return int(node.end_mark.index)
    last = node.value[-1]
    return _end(last[1] if isinstance(last, tuple) else last)


def _inline(value: Any) -> str:
    return yaml_text.dump_inline(value)


def _indented(value: Any, column: int) -> str:
    return yaml_text.indented(yaml_text.dump(value), column)
