"""Drawing for the bundled questions: a square canvas in percent units, the same on every machine.

Letters are strokes of our own, since fonts differ between machines.
"""

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw

from llava_core.data.mini.lexicon import COLOURS, PAPERS

SIZE_PX = 128
"""Side of a finished picture."""
_SUPERSAMPLING = 2

Point = tuple[float, float]
Colour = tuple[int, int, int]

INK: Colour = (40, 44, 52)
WHITE: Colour = (255, 255, 255)

# Strokes on a grid of 2 x 3, from the upper left corner.
_STROKES: dict[str, tuple[tuple[Point, ...], ...]] = {
    "N": (((0, 3), (0, 0), (2, 3), (2, 0)),),
    "S": (((2, 0), (0, 0), (0, 1.5), (2, 1.5), (2, 3), (0, 3)),),
    "E": (((2, 0), (0, 0), (0, 3), (2, 3)), ((0, 1.5), (1.6, 1.5))),
    "W": (((0, 0), (0.5, 3), (1, 1.2), (1.5, 3), (2, 0)),),
    "A": (((0, 3), (1, 0), (2, 3)), ((0.4, 2), (1.6, 2))),
    "B": (((0, 0), (0, 3), (2, 3), (2, 1.5), (0, 1.5)), ((2, 1.5), (1.7, 1.5), (1.7, 0), (0, 0))),
    "1": (((0.4, 0.6), (1, 0), (1, 3)),),
    "2": (((0, 0), (2, 0), (2, 1.5), (0, 1.5), (0, 3), (2, 3)),),
}


class Canvas:
    """A picture in the making; coordinates run from 0 to 100, from the upper left corner.

    Parameters
    ----------
    paper : str
        Name of the background tint.
    """

    def __init__(self, paper: str) -> None:
        side = SIZE_PX * _SUPERSAMPLING
        self._unit = side / 100
        self._image = Image.new("RGB", (side, side), PAPERS[paper])
        self._draw = ImageDraw.Draw(self._image)

    def finish(self) -> Image.Image:
        """Return the finished picture, ``SIZE_PX`` wide and high."""
        return self._image.resize((SIZE_PX, SIZE_PX), Image.Resampling.BOX)

    def rectangle(
        self, box: tuple[float, float, float, float], fill: str | Colour, *, edge: float = 1.2
    ) -> None:
        """Fill the box (left, top, right, bottom), with an outline ``edge`` wide."""
        self._draw.rectangle(
            [value * self._unit for value in box], _rgb(fill), INK if edge else None, self._width(edge)
        )

    def disc(self, centre: Point, radius: float, fill: str | Colour, *, edge: float = 1.2) -> None:
        """Fill a circle."""
        x, y = centre
        box = [value * self._unit for value in (x - radius, y - radius, x + radius, y + radius)]
        self._draw.ellipse(box, _rgb(fill), INK if edge else None, self._width(edge))

    def polygon(self, points: Sequence[Point], fill: str | Colour) -> None:
        """Fill a polygon, with an outline."""
        self._draw.polygon(self._scaled(points), _rgb(fill), INK, self._width(1.2))

    def line(self, points: Sequence[Point], width: float = 2.0, fill: str | Colour = INK) -> None:
        """Draw a line through the points."""
        self._draw.line(self._scaled(points), _rgb(fill), self._width(width), joint="curve")

    def arrow(self, start: Point, end: Point, *, head: float = 6.0, width: float = 2.5) -> None:
        """Draw an arrow whose tip is ``end``."""
        angle = math.atan2(end[1] - start[1], end[0] - start[0])
        base = (end[0] - head * math.cos(angle), end[1] - head * math.sin(angle))
        self.line([start, base], width)
        across = (math.sin(angle) * head * 0.7, -math.cos(angle) * head * 0.7)
        self._draw.polygon(
            self._scaled(
                [end, (base[0] + across[0], base[1] + across[1]), (base[0] - across[0], base[1] - across[1])]
            ),
            INK,
        )

    def letter(self, name: str, corner: Point, height: float, fill: str | Colour = INK) -> None:
        """Draw one letter or digit, its upper left corner at ``corner``."""
        scale = height / 3
        for stroke in _STROKES[name]:
            self.line([(corner[0] + x * scale, corner[1] + y * scale) for x, y in stroke], height / 6, fill)

    def shape(self, kind: str, centre: Point, radius: float, fill: str | Colour) -> None:
        """Draw one of the shapes of the lexicon."""
        x, y = centre
        if kind == "circle":
            self.disc(centre, radius, fill)
        elif kind == "square":
            self.rectangle((x - radius, y - radius, x + radius, y + radius), fill)
        elif kind == "triangle":
            self.polygon([(x, y - radius), (x + radius, y + radius), (x - radius, y + radius)], fill)
        elif kind == "star":
            tips = [
                (x + r * math.sin(k * math.pi / 5), y - r * math.cos(k * math.pi / 5))
                for k in range(10)
                for r in [radius * (1.25 if k % 2 == 0 else 0.5)]
            ]
            self.polygon(tips, fill)
        else:
            raise ValueError(f"got shape {kind!r}, allowed are circle, square, triangle, star")

    def _scaled(self, points: Sequence[Point]) -> list[Point]:
        return [(x * self._unit, y * self._unit) for x, y in points]

    def _width(self, width: float) -> int:
        return max(1, round(width * self._unit)) if width else 0


def _rgb(colour: str | Colour) -> Colour:
    return COLOURS[colour] if isinstance(colour, str) else colour
