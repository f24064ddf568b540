"""Figures of stacked bars, as a list of shapes that SVG and PNG draw alike."""

from __future__ import annotations

import errno
import os

from lodger._record import record
from lodger.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

#: Parts of a bar in drawing order: key, colour, what the legend says. Colours that stay apart for colour-blind readers
#: (Okabe and Ito's set).
PARTS = (
    ("own", "#999999", "program and guest kernel"),
    ("context switches", "#D55E00", "1 host context switches"),
    ("protection", "#E69F00", "2 memory protection"),
    ("mapping", "#0072B2", "3 memory mapping"),
    ("signals", "#CC79A7", "signals"),
    ("page faults", "#56B4E9", "page faults"),
    ("host calls", "#009E73", "host calls"),
)
KINDS = (".svg", ".html", ".png")

_WIDTH, _BAR, _GAP, _LEFT, _TOP = 860, 24, 10, 110, 62
#: Beyond this ratio of the longest to the shortest bar a second panel shows the short ones.
_ZOOM = 6.0


@record(frozen=True)
class Bar:
    """One machine's run, in seconds by part."""

    name: str
    seconds: tuple[tuple[str, float], ...]
    relative: float
    """run time as a multiple of the host's"""

    @property
    def total(self) -> float:
        """The bar's length."""
        return sum(value for _, value in self.seconds)


@record(frozen=True)
class Rectangle:
    """Corner, size, colour."""

    x: float
    y: float
    width: float
    height: float
    colour: str


@record(frozen=True)
class Text:
    """Anchor ("start" or "end") at x, baseline at y."""

    x: float
    y: float
    text: str
    size: int = 12
    anchor: str = "start"


Shapes = list["Rectangle | Text"]


def check(path: str) -> None:
    """Refuse a file that cannot be drawn or written, before anything is run. Raises ConfigError."""
    kind = os.path.splitext(path)[1].lower()
    if kind not in KINDS:
        raise ConfigError(f"--plot {path}: the figure's kind is its ending: one of {', '.join(KINDS)}")
    if kind == ".png":
        try:
            import PIL.ImageDraw  # noqa: F401
        except ImportError:
            raise ConfigError(
                f"--plot {path}: drawing PNG needs Pillow: pip install 'lodger[plot]', or name an .svg or .html file"
            ) from None
    folder = os.path.dirname(path) or "."
    if os.path.isdir(path):
        number = errno.EISDIR
    elif not os.path.isdir(folder):
        number = errno.ENOENT
    elif not os.access(path if os.path.exists(path) else folder, os.W_OK):
        number = errno.EACCES
    else:
        return
    raise ConfigError(f"--plot {path} cannot be written: {os.strerror(number)}")


def draw(title: str, groups: Sequence[tuple[str, Sequence[Bar]]]) -> tuple[Shapes, int, int]:
    """Shapes, width and height of a figure with one panel a group of bars (and a second where some are too short)."""
    shapes: Shapes = [Text(16, 26, title, 16)]
    x = 16.0
    for _, colour, label in PARTS:
        shapes += [Rectangle(x, 38, 11, 11, colour), Text(x + 15, 48, label, 11)]
        x += 26 + 6.1 * len(label)
    y = float(_TOP)
    for name, bars in groups:
        y = _panel(shapes, y, name, bars)
        shortest = min((b.total for b in bars if b.total), default=0.0)
        short = [b for b in bars if b.total <= shortest * _ZOOM]
        if shortest and max(b.total for b in bars) > shortest * _ZOOM and len(short) > 1:
            y = _panel(shapes, y, f"{name}, the short ones enlarged", short)
    return shapes, _WIDTH, int(y + 12)


def _panel(shapes: Shapes, y: float, name: str, bars: Sequence[Bar]) -> float:
    y += 22
    shapes.append(Text(16, y, name, 13))
    y += 10
    room = _WIDTH - _LEFT - 150
    longest = max((b.total for b in bars), default=0.0) or 1.0
    for bar in bars:
        shapes.append(Text(_LEFT - 8, y + _BAR * 0.7, bar.name, 12, "end"))
        x = float(_LEFT)
        found = dict(bar.seconds)
        for key, colour, _ in PARTS:
            width = found.get(key, 0.0) / longest * room
            if width > 0.05:
                shapes.append(Rectangle(x, y, width, _BAR, colour))
                x += width
        shapes.append(Text(x + 8, y + _BAR * 0.7, f"{bar.relative:.2f} x   {_seconds(bar.total)}", 12))
        y += _BAR + _GAP
    return y


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value >= 1 else f"{value * 1e3:.2f} ms" if value >= 1e-3 else f"{value * 1e6:.1f} µs"


def svg(shapes: Shapes, width: int, height: int) -> str:
    """The figure as an SVG document."""
    from html import escape

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for s in shapes:
        if isinstance(s, Rectangle):
            lines.append(
                f'<rect x="{s.x:.1f}" y="{s.y:.1f}" width="{s.width:.1f}" height="{s.height:.1f}" fill="{s.colour}"/>'
            )
        else:
            place = f'x="{s.x:.1f}" y="{s.y:.1f}" font-size="{s.size}" text-anchor="{s.anchor}"'
            lines.append(f"<text {place}>{escape(s.text)}</text>")
    return "\n".join([*lines, "</svg>", ""])


def write(path: str, title: str, groups: Sequence[tuple[str, Sequence[Bar]]], text: str = "") -> None:
    """Draw a figure into ``path``; an .html file also shows ``text`` below. Raises ConfigError."""
    check(path)
    kind = os.path.splitext(path)[1].lower()
    shapes, width, height = draw(title, groups)
    try:
        if kind == ".png":
            _png(path, shapes, width, height)
            return
        document = svg(shapes, width, height)
        if kind == ".html":
            from html import escape

            document = (
                f'<!doctype html>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
                f"{document}<pre>{escape(text)}</pre>\n"
            )
        # A command's words need not be UTF-8.
        with open(path, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(document)
    except OSError as error:
        raise ConfigError(f"--plot {path} cannot be written: {error.strerror}") from None


def _png(path: str, shapes: Shapes, width: int, height: int) -> None:
    from PIL import Image, ImageDraw, ImageFont

    scale = 2
    image = Image.new("RGB", (width * scale, height * scale), "white")
    pen = ImageDraw.Draw(image)
    for s in shapes:
        if isinstance(s, Rectangle):
            box = (s.x * scale, s.y * scale, (s.x + s.width) * scale, (s.y + s.height) * scale)
            pen.rectangle(box, fill=s.colour)
        else:
            font = ImageFont.load_default(s.size * scale)
            anchor = "ls" if s.anchor == "start" else "rs"
            text = s.text.encode("utf-8", "backslashreplace").decode()
            pen.text((s.x * scale, s.y * scale), text, fill="black", font=font, anchor=anchor)
    image.save(path)
