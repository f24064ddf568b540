"""Reading a command line. Small on purpose: argparse takes 3 ms to import, and cannot say "stop at CMD"."""

from __future__ import annotations

from lodger.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Option:
    """One option. ``takes``: "value", "flag", "list", or "maybe" (only as --name=value)."""

    def __init__(self, name: str, takes: str, text: str, *short: str, meta: str = "") -> None:
        self.name = name
        self.takes = takes
        self.text = text
        self.short = short
        self.meta = meta

    @property
    def key(self) -> str:
        """Its name in the parsed values."""
        return self.name.lstrip("-").replace("-", "_")


HELP = Option("--help", "flag", "this text", "-h")
Values = dict[str, "str | bool | list[str]"]


def parse(options: Sequence[Option], words: Sequence[str]) -> tuple[Values, list[str]]:
    """(values, the rest from the first word that is not an option). Raises ConfigError."""
    known = {spelling: o for o in options for spelling in (o.name, *o.short)}
    values: Values = {}
    at = 0
    while at < len(words):
        word = words[at]
        if word == "--":
            return values, list(words[at + 1 :])
        if not word.startswith("-") or word == "-":
            break
        at += 1
        name, equals, value = word.partition("=")
        if name not in known and len(word) > 2 and word[1] != "-" and word[:2] in known:
            name, equals, value = word[:2], "=", word[2:]  # -u1000
        option = known.get(name)
        if option is None:
            raise ConfigError(f"unknown option {name}{_nearest(name, known)}")
        if option.takes == "flag":
            if equals:
                raise ConfigError(f"option {name} takes no value, got {value!r}")
            values[option.key] = True
        elif option.takes == "maybe":
            values[option.key] = value if equals else True
        else:
            if not equals:
                if at >= len(words):
                    raise ConfigError(f"option {name} needs a value: {option.text}")
                value = words[at]
                at += 1
            if option.takes == "list":
                held = values.setdefault(option.key, [])
                assert isinstance(held, list)
                held.append(value)
            else:
                values[option.key] = value
    return values, list(words[at:])


def alone(options: Sequence[Option], words: Sequence[str], verb: str, text: str) -> Values | None:
    """As parse, for a verb that takes options only; None when --help has been answered, which begins with ``text``.

    Raises ConfigError for anything else.
    """
    options = (*options, HELP)
    values, rest = parse(options, words)
    if values.get("help"):
        print(f"usage: lodger {verb} [OPTIONS]\n\n{text}\n\n{listing(options)}")
        return None
    if rest:
        raise ConfigError(f"lodger {verb} takes no argument {rest[0]!r}: lodger {verb} --help shows how it is written")
    return values


def listing(options: Sequence[Option]) -> str:
    """The options as --help shows them."""
    lines = []
    for option in options:
        left = ", ".join((*option.short, option.name))
        if option.meta:
            left += ("[=" + option.meta + "]") if option.takes == "maybe" else " " + option.meta
        lines.append(f"  {left:<26} {option.text}")
    return "\n".join(lines)


def _nearest(name: str, known: Mapping[str, Option]) -> str:
    import difflib

    close = difflib.get_close_matches(name, known, 1, 0.7)
    return f": did you mean {close[0]}?" if close else "; --help lists them"
