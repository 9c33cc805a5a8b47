"""Grape varieties: how common they are, where they grow, what they cost and what they taste of.

The varieties, the countries and what is said of them are common knowledge; the numbers are rough
weights that we chose so that generated wines look plausible. They measure nothing.
"""

from __future__ import annotations

from typing import Final, NamedTuple

# What every wine of a colour may taste of; a variety's own leanings are added to these.
COLOURS: Final[dict[str, dict[str, int]]] = {
    "white": {
        "citrus": 9, "orchard fruit": 9, "stone fruit": 6, "tropical fruit": 4, "white flowers": 5,
        "honey": 3, "green": 2, "mineral": 5, "bread": 2, "dairy": 2, "nuts": 2, "oak": 2,
        "sweet spice": 2, "texture": 6, "acidity": 10, "sweetness": 3, "stature": 4, "plainness": 3,
        "dried herbs": 1, "pepper": 1,
    },
    "red": {
        "red fruit": 9, "black fruit": 10, "dried fruit": 3, "dark flowers": 3, "sweet spice": 4,
        "pepper": 4, "dried herbs": 3, "earth": 3, "leather": 3, "roast": 4, "tar": 2, "oak": 6,
        "texture": 5, "tannin": 10, "acidity": 4, "sweetness": 2, "stature": 5, "plainness": 2,
        "green": 1, "mineral": 1,
    },
    "pink": {
        "red fruit": 14, "citrus": 6, "stone fruit": 5, "tropical fruit": 2, "white flowers": 3,
        "dark flowers": 2, "green": 1, "mineral": 3, "dried herbs": 1, "texture": 3, "acidity": 12,
        "sweetness": 3, "plainness": 6, "stature": 1,
    },
    "sparkling": {
        "citrus": 8, "orchard fruit": 9, "stone fruit": 3, "red fruit": 2, "white flowers": 4,
        "mineral": 5, "bread": 9, "nuts": 3, "honey": 2, "dairy": 2, "bubbles": 14, "acidity": 10,
        "texture": 3, "stature": 4, "plainness": 1,
    },
    "fortified": {
        "dried fruit": 14, "nuts": 7, "roast": 6, "honey": 3, "sweet spice": 6, "oak": 6,
        "sweetness": 9, "black fruit": 4, "citrus": 2, "texture": 5, "stature": 6, "tar": 1,
    },
}  # fmt: skip


class Variety(NamedTuple):
    """One grape, or blend that is sold under its own name."""

    name: str
    colour: str
    weight: int
    """How many wines are made of it, against the other varieties."""

    cost: int
    """Rungs of the price ladder above the cheapest variety."""

    countries: dict[str, int]
    leanings: dict[str, int]


_ROWS: Final = """
Chardonnay          | white | 105 | 5 | US 40, France 30, Australia 8, Chile 6, Italy 5, South Africa 5, Argentina 3, New Zealand 3
                    | dairy 8, oak 8, orchard fruit 6, bread 4, tropical fruit 4
Sauvignon Blanc     | white | 62 | 2 | New Zealand 26, France 24, US 20, Chile 14, South Africa 10, Austria 3, Italy 3
                    | green 26, citrus 10, tropical fruit 6, mineral 4
Riesling            | white | 52 | 4 | Germany 45, US 16, France 12, Austria 12, Australia 10, New Zealand 5
                    | citrus 10, mineral 10, stone fruit 8, tar 3, sweetness 6, honey 4
Pinot Gris          | white | 30 | 1 | Italy 42, US 32, France 20, New Zealand 6
                    | orchard fruit 12, plainness 5, honey 3
Grüner Veltliner    | white | 22 | 3 | Austria 92, US 4, Hungary 4
                    | pepper 14, green 7, mineral 6, citrus 4
Chenin Blanc        | white | 18 | 3 | France 48, South Africa 44, US 8
                    | honey 12, orchard fruit 10, nuts 3
Viognier            | white | 16 | 4 | France 40, US 38, Australia 16, Chile 6
                    | stone fruit 18, white flowers 12, texture 4
Gewürztraminer      | white | 14 | 3 | France 44, Germany 16, US 24, Italy 12, Chile 4
                    | tropical fruit 10, dark flowers 14, sweet spice 12, sweetness 5
Albariño            | white | 14 | 3 | Spain 72, Portugal 22, US 6
                    | mineral 14, stone fruit 6, citrus 6
Verdejo             | white | 9 | 1 | Spain 100
                    | green 12, citrus 4, dried herbs 5
Vermentino          | white | 9 | 2 | Italy 76, France 20, US 4
                    | dried herbs 9, mineral 8, nuts 4
Garganega           | white | 9 | 2 | Italy 100
                    | nuts 14, stone fruit 4, white flowers 4
Fiano               | white | 7 | 3 | Italy 94, Australia 6
                    | nuts 10, honey 8, dried herbs 4
Sémillon            | white | 9 | 4 | Australia 52, France 40, South Africa 8
                    | honey 14, citrus 8, bread 4
Marsanne            | white | 6 | 4 | France 70, Australia 20, US 10
                    | honey 10, nuts 8, stone fruit 6
Torrontés           | white | 8 | 0 | Argentina 100
                    | white flowers 20, tropical fruit 6
Muscat              | white | 9 | 2 | France 30, Italy 30, Greece 14, Australia 14, Spain 12
                    | white flowers 14, tropical fruit 8, sweetness 14
Furmint             | white | 7 | 5 | Hungary 95, Austria 5
                    | honey 12, mineral 6, sweetness 8
Assyrtiko           | white | 6 | 4 | Greece 100
                    | mineral 22, citrus 8
White Blend         | white | 40 | 2 | France 30, Italy 24, Portugal 18, US 14, Spain 8, South Africa 6
                    | stone fruit 2
Cabernet Sauvignon  | red | 98 | 7 | US 52, Chile 14, Argentina 8, Australia 10, France 6, South Africa 6, Italy 4
                    | black fruit 10, oak 6, tannin 5, tar 4, green 3, roast 3
Pinot Noir          | red | 120 | 8 | US 55, France 24, New Zealand 8, Germany 5, Chile 4, Australia 4
                    | red fruit 22, earth 9, dark flowers 5, acidity 5
Merlot              | red | 44 | 4 | US 34, France 28, Italy 14, Chile 12, Argentina 6, South Africa 6
                    | black fruit 8, roast 5, texture 5
Syrah               | red | 58 | 6 | US 34, France 28, Australia 26, Chile 5, South Africa 7
                    | pepper 14, black fruit 8, leather 7, dark flowers 4
Bordeaux Blend      | red | 78 | 8 | France 62, US 20, Argentina 5, South Africa 5, Chile 4, Italy 4
                    | tannin 6, tar 5, oak 5, black fruit 4, stature 3
Malbec              | red | 38 | 3 | Argentina 80, France 14, US 6
                    | black fruit 12, dark flowers 8, roast 5
Zinfandel           | red | 30 | 4 | US 100
                    | dried fruit 10, sweetness 10, pepper 6, red fruit 4
Nebbiolo            | red | 40 | 11 | Italy 97, US 3
                    | dark flowers 16, tar 10, tannin 10, red fruit 6, earth 5
Sangiovese          | red | 58 | 6 | Italy 94, US 6
                    | red fruit 14, dried herbs 8, tannin 5, acidity 4, earth 4
Barbera             | red | 12 | 3 | Italy 88, US 12
                    | red fruit 12, acidity 12
Tempranillo         | red | 42 | 4 | Spain 94, Portugal 4, US 2
                    | leather 8, oak 8, red fruit 8, earth 3
Grenache            | red | 24 | 4 | France 44, Spain 32, US 14, Australia 10
                    | red fruit 14, dried herbs 8, pepper 6, sweetness 3
Mourvèdre           | red | 8 | 5 | France 52, Spain 28, US 14, Australia 6
                    | leather 14, black fruit 6, earth 6
Rhône Blend         | red | 36 | 5 | France 62, US 24, Australia 14
                    | pepper 8, dried herbs 8, leather 6, red fruit 5
Cabernet Franc      | red | 18 | 4 | France 46, US 42, Argentina 6, Italy 6
                    | green 14, red fruit 8, earth 4, tar 4
Gamay               | red | 22 | 2 | France 95, US 5
                    | red fruit 24, dark flowers 6, acidity 6, plainness 5
Touriga Nacional    | red | 12 | 4 | Portugal 98, Australia 2
                    | dark flowers 14, black fruit 10, tannin 4
Portuguese Red      | red | 34 | 2 | Portugal 100
                    | black fruit 8, roast 3, sweet spice 3
Aglianico           | red | 12 | 6 | Italy 100
                    | tar 12, leather 8, tannin 8, black fruit 4
Nero d'Avola        | red | 14 | 2 | Italy 100
                    | red fruit 8, dried herbs 5, sweetness 4, sweet spice 4
Montepulciano       | red | 14 | 1 | Italy 100
                    | black fruit 8, earth 4, tannin 3
Corvina             | red | 18 | 7 | Italy 100
                    | dried fruit 14, red fruit 10, roast 6, nuts 4
Carménère           | red | 12 | 1 | Chile 96, Italy 4
                    | green 16, pepper 8, roast 5
Pinotage            | red | 8 | 2 | South Africa 100
                    | tar 10, roast 9, black fruit 6
Petite Sirah        | red | 12 | 4 | US 94, Chile 6
                    | black fruit 14, tannin 8, pepper 6
Blaufränkisch       | red | 10 | 4 | Austria 78, Hungary 18, US 4
                    | red fruit 8, pepper 10, mineral 6
Xinomavro           | red | 5 | 4 | Greece 100
                    | dried herbs 8, tannin 8, red fruit 8, earth 6
Tannat              | red | 6 | 4 | France 50, Uruguay 50
                    | tannin 14, black fruit 8, roast 4
Red Blend           | red | 64 | 4 | US 40, Italy 30, Chile 8, Argentina 8, Spain 8, Greece 3, Hungary 3
                    | black fruit 3, sweet spice 2
Rosé                | pink | 42 | 2 | France 52, US 26, Italy 10, Spain 9, South Africa 3
                    | red fruit 2
Champagne Blend     | sparkling | 26 | 10 | France 100
                    | bread 6, stature 5, mineral 4
Sparkling Blend     | sparkling | 26 | 4 | US 36, Italy 26, Spain 24, Australia 6, South Africa 4, Germany 4
                    | orchard fruit 3
Glera               | sparkling | 16 | 1 | Italy 98, Australia 2
                    | orchard fruit 8, white flowers 8, plainness 5, sweetness 4
Port                | fortified | 12 | 9 | Portugal 100
                    | black fruit 6, roast 4
Sherry              | fortified | 8 | 5 | Spain 100
                    | nuts 20, mineral 6, bread 4
"""  # noqa: E501  a table reads better with one variety to a line


def _weights(text: str) -> dict[str, int]:
    pairs = (entry.strip().rpartition(" ") for entry in text.split(","))
    return {name: int(weight) for name, _, weight in pairs}


def _read(table: str) -> tuple[Variety, ...]:
    lines = table.strip().splitlines()
    varieties = []
    for facts, leanings in zip(lines[::2], lines[1::2], strict=True):
        name, colour, weight, cost, countries = (cell.strip() for cell in facts.split("|"))
        own = _weights(leanings.partition("|")[2])
        varieties.append(Variety(name, colour, int(weight), int(cost), _weights(countries), own))
    return tuple(varieties)


VARIETIES: Final[tuple[Variety, ...]] = _read(_ROWS)


class Style(NamedTuple):
    """How a wine is made: what that adds to its taste, its points and its price."""

    weight: int
    points: float
    rungs: float
    emphasis: dict[str, int]
    """What the weight of a group is multiplied by."""


STYLES: Final[tuple[Style, ...]] = (
    Style(36, 0.0, 0.0, {"acidity": 2, "mineral": 2, "white flowers": 2, "dark flowers": 2}),
    Style(30, 0.6, 2.0, {"oak": 3, "dairy": 4, "bread": 2, "roast": 2, "texture": 2}),
    Style(16, 1.4, 4.0, {"dried fruit": 4, "earth": 4, "leather": 3, "honey": 4, "nuts": 4,
                         "tar": 2, "stature": 3}),
    Style(18, -2.2, -3.0, {"plainness": 8, "sweetness": 2, "stature": 0}),
)  # fmt: skip
