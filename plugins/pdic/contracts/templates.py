"""Texts of a source or a contract on their way into what dbt renders by Jinja: SQL models, macros, and its YAML files.

A name or a comment may hold anything: ``{{ … }}``, ``{% … %}``, quotes, backslashes, line ends. Here is the only place that makes
Jinja of it, so that whatever it holds is shown and never run.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_PLAIN: Final = re.compile(r"[\w .,:;!?()\[\]<>=+*/@&^~|$-]")
_RENDERED: Final = re.compile(r"\{[{%#]|[#}%]\}|\r")
"""What dbt takes for a sign that a YAML value wants rendering, and what rendering would change."""
_WORDS: Final = re.compile(r"[^\W\d]\w*( \w+)*")
_NOT_RAW: Final = re.compile(r"\{(?=%)|\r")


def constant(text: str) -> str:
    """``text`` as a string constant of Jinja.

    Braces, quotes and the like are written as escapes: those who look for the end of a tag (dbt's own reader of macro files
    among them) find nothing in it.
    """
    return "'" + "".join(map(_escaped, text)) + "'"


def raw(sql: str) -> str:
    """``sql`` as a part of a macro, to come out as it is. Jinja itself would make line feeds of carriage returns."""
    apart = _NOT_RAW.sub(lambda letter: f"{{% endraw %}}{{{{ {constant(letter[0])} }}}}{{% raw %}}", sql)
    return f"{{% raw %}}{apart}{{% endraw %}}"


def description(text: str) -> str:
    """``text`` as a description in dbt's YAML: itself, wrapped where dbt would render it."""
    return _wrapped(text) if _RENDERED.search(text) else text


def name(text: str) -> str:
    """``text`` as a name in dbt's YAML: itself where it is words. dbt renders every name, and makes a number of `1`, a list of `[1]`."""
    return text if _WORDS.fullmatch(text) and text not in ("None", "True", "False") else _wrapped(text)


def _wrapped(text: str) -> str:
    return f"{{{{ {constant(text)} | as_text }}}}"


def _escaped(letter: str) -> str:
    if _PLAIN.fullmatch(letter) and unicodedata.category(letter) not in ("Cf", "Zl", "Zp"):
        return letter
    code = ord(letter)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
