"""Turn what people write ("512M", "./src:/src:ro", "1000:100") into values, or say what is wrong."""

from __future__ import annotations

import os

from lodger._record import record
from lodger.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def mapping(value: Any, what: str, example: str) -> Mapping[Any, Any]:
    """A setting that must be a mapping; None is an empty one. Raises ConfigError."""
    if value is None:
        return {}
    # Not collections.abc.Mapping: its import costs more than all of this module.
    if not hasattr(value, "items") or not hasattr(value, "keys"):
        raise ConfigError(f"{what}={value!r} is not a mapping: write it as {example}")
    checked: Mapping[Any, Any] = value
    return checked


def path(value: object, what: str) -> str:
    """A path of the host as text, from text, bytes or a path object. Raises ConfigError."""
    try:
        text = os.fsdecode(value)  # type: ignore[arg-type]
    except TypeError:
        raise ConfigError(f"{what}={value!r} is not a path: give text or a path object") from None
    if not text or "\0" in text:
        raise ConfigError(f"{what}={value!r} is not a path: it must be text, not empty, and without NUL")
    return bytes_of(text, what)


def bytes_of(text: str, what: str) -> str:
    """The text, if it has bytes: half a surrogate pair has none. Raises ConfigError."""
    try:
        os.fsencode(text)
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"{what}={text!r} cannot be told to a machine: it contains {text[error.start]!r}, which is no character. "
            "Give bytes that are no text with os.fsdecode()"
        ) from None
    return text


def host_path(text: str, what: str) -> str:
    """An absolute path of the host; ``~`` is a home. Raises ConfigError."""
    try:
        return os.path.abspath(os.path.expanduser(text))
    except FileNotFoundError:
        raise ConfigError(
            f"{what}={text!r} is relative, and the directory that this program runs in does not exist any more: "
            "give an absolute path, or change to another directory"
        ) from None


def size(value: str | int, what: str) -> int:
    """Bytes from 1048576, "512M", "2GiB" (powers of 1024). Raises ConfigError."""
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    else:
        text = str(value).strip().lower()
        for tail in ("ib", "b"):
            if text.endswith(tail) and text[: -len(tail)][-1:] in "kmgt" and len(text) > len(tail):
                text = text[: -len(tail)]
                break
        unit = text[-1:] if text[-1:] in _UNITS else ""
        digits = text[: len(text) - len(unit)].strip()
        try:
            number = int(float(digits) * _UNITS[unit])
        except (ValueError, OverflowError):
            raise ConfigError(f"{what}={value!r} is not a size: write a number with K, M or G, as in 512M") from None
    if number <= 0:
        raise ConfigError(f"{what}={value!r} must be more than nothing: write a size such as 512M")
    return number


def count(value: str | int, what: str, low: int, high: int) -> int:
    """An integer from low to high. Raises ConfigError."""
    try:
        if isinstance(value, (bool, float)):
            raise ValueError
        number = int(value)
    except (TypeError, ValueError):
        raise ConfigError(f"{what}={value!r} is not a whole number: give one from {low} to {high}") from None
    if not low <= number <= high:
        raise ConfigError(f"{what}={value!r} is out of range: give a number from {low} to {high}")
    return number


def seconds(value: str | float | None, what: str) -> float | None:
    """Seconds from 10, "10", "1.5s", "2m", "1h"; None stays None. Raises ConfigError."""
    if value is None:
        return None
    if isinstance(value, bool):
        raise ConfigError(f"{what}={value!r} is not a time: write seconds, or a number with s, m or h")
    text = str(value).strip().lower()
    factor = {"s": 1, "m": 60, "h": 3600}.get(text[-1:], 0)
    try:
        number = float(text[:-1]) * factor if factor else float(text)
    except ValueError:
        raise ConfigError(f"{what}={value!r} is not a time: write seconds, or a number with s, m or h") from None
    if not 0 <= number < 1e9:
        raise ConfigError(f"{what}={value!r} is out of range: give 0 to 999999999 seconds")
    return number


def terminal_size(value: Any, what: str) -> tuple[int, int]:
    """(rows, columns), two numbers as a terminal can have them. Raises ConfigError."""
    try:
        rows, columns = value
    except (TypeError, ValueError):
        raise ConfigError(f"{what}={value!r} is not (rows, columns): give two numbers, as in (24, 80)") from None
    # A terminal keeps 16 bits of each: a larger number would come out as another one.
    return count(rows, f"{what}: rows", 0, 65535), count(columns, f"{what}: columns", 0, 65535)


def signal_number(value: Any) -> int:
    """A signal's number, or 0, which only asks. Raises ConfigError."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(f"signal={value!r} is not a signal's number: give one, as signal.SIGTERM is")
    if not 0 <= value <= 64:
        raise ConfigError(f"signal={value!r} is out of range: Linux has the signals 1 to 64")
    return int(value)


@record(frozen=True)
class User:
    """Whom a command runs as. A name counts before its number; only the guest knows what it means."""

    uid: int
    gid: int | None
    """None: what the guest's /etc/passwd has for the name"""
    name: str = ""
    group: str = ""


def user(value: str | int | tuple[int, int], what: str = "user") -> User:
    """A user from 1000, "1000" (gid the same), "1000:100", "nobody" or "nobody:users". Raises ConfigError."""
    parts: list[Any] = list(value) if isinstance(value, (tuple, list)) else str(value).split(":")
    names = ["", ""]
    try:
        if value is None or isinstance(value, (bool, float)) or not 1 <= len(parts) <= 2:
            raise ValueError
        numbers = []
        for place, part in enumerate(parts):
            if isinstance(value, str) and not (part.isascii() and part.isdigit()):
                # No system has users whose names look like options or signed numbers.
                if not part or part[0] in "-+" or "\0" in part or "\n" in part:
                    raise ValueError
                names[place], part = part, 0
            if isinstance(part, bool):
                raise ValueError
            numbers.append(int(part))
    except (TypeError, ValueError):
        raise ConfigError(
            f"{what}={value!r} is not USER[:GROUP]: give a name or a number for each, as in 'nobody' or '1000:1000', "
            "or the numbers (UID, GID)"
        ) from None
    for number in numbers:
        if not 0 <= number < 0xFFFFFFFF:
            raise ConfigError(f"{what}={value!r} is out of range: ids go from 0 to 4294967294")
    bytes_of("".join(names), what)
    gid = numbers[1] if len(numbers) > 1 else None if names[0] else numbers[0]
    return User(numbers[0], gid, *names)


def absolute(value: str | os.PathLike[str], what: str) -> str:
    """A normalised absolute guest path from text, bytes or a path object. Raises ConfigError."""
    try:
        text = os.fsdecode(value)
    except TypeError:
        text = ""
    if not text.startswith("/") or "\0" in text:
        raise ConfigError(f"{what}={value!r} is not an absolute path of the guest: begin it with /")
    if ".." in text.split("/"):
        raise ConfigError(f"{what}={value!r} contains '..': write the path it stands for")
    bytes_of(text, what)
    return "/" + "/".join(p for p in text.split("/") if p not in ("", "."))


def descriptor(value: Any, what: str) -> int:
    """The number of an open file. Raises ConfigError."""
    try:
        if isinstance(value, bool):
            raise TypeError
        os.fstat(value)
    except (TypeError, ValueError, OverflowError, OSError):
        raise ConfigError(f"{what}={value!r} is no descriptor: give the number of an open file") from None
    return int(value)


def environment(values: Mapping[str, str] | None, what: str = "env") -> tuple[tuple[str, str], ...]:
    """Checked name/value pairs. Raises ConfigError."""
    pairs = []
    for name, value in mapping(values, what, "{'NAME': 'value'}").items():
        if not isinstance(name, str) or not name or "=" in name or "\0" in name:
            raise ConfigError(f"{what}: {name!r} is not a variable name: it must be text without '='")
        if not isinstance(value, str) or "\0" in value:
            raise ConfigError(f"{what}: {name}={value!r} is not text without NUL: convert it with str()")
        bytes_of(f"{name}={value}", f"{what}: {name}")
        pairs.append((name, value))
    return tuple(pairs)


def volume_spec(text: str) -> tuple[str, str]:
    """("SRC", "DST[:ro|:rw]") from a command line's SRC:DST[:ro]. Raises ConfigError."""
    # From the right: SRC may contain colons, and DST, which begins with a slash, may not.
    head, _, mode = text.rpartition(":")
    rest = f":{mode}" if mode in ("ro", "rw") else ""
    source, _, target = (head if rest else text).rpartition(":/")
    if source and target:
        return source, f"/{target}{rest}"
    source, colon, rest = text.partition(":")
    if not colon or not source or not rest:
        raise ConfigError(f"volume {text!r} is not SRC:DST[:ro]: name a host directory and a guest path")
    return source, rest


def volume(source: str, target: str | os.PathLike[str]) -> tuple[str, str, bool]:
    """(host directory, guest path, read only). Raises ConfigError, also if there is no such directory."""
    try:
        target = os.fsdecode(target)
    except TypeError:
        raise ConfigError(
            f"volume {source}: its guest path {target!r} is not text: write '/src' or '/src:ro'"
        ) from None
    path, _, mode = target.partition(":")
    if mode not in ("", "ro", "rw"):
        raise ConfigError(f"volume {source}:{target} has the mode {mode!r}: it can be ro or rw")
    host = host_path(source, "volume source")
    if os.path.exists(host) and not os.path.isdir(host):
        raise ConfigError(f"volume {source}:{target}: {host} is a file: show the directory that it is in")
    try:
        os.stat(host)
    except FileNotFoundError:
        raise ConfigError(f"volume {source}:{target}: {host} is not a directory of the host: create it first") from None
    except OSError as error:
        raise ConfigError(f"volume {source}:{target}: {host} cannot be shown: {error.strerror}") from None
    guest = absolute(path, "volume target")
    if guest == "/":
        raise ConfigError(f"volume {source}:{target} would cover the whole guest: use rootfs={source!r} instead")
    return host, guest, mode == "ro"
