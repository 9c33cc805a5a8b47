"""The words that a taster uses, in groups of related ones; written for this package.

`GROUPS` maps a group's name to its terms, the commoner ones first. A term occurs once in the whole
table, and its place gives its number. Nothing here computes vectors: that is `embedding`.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Group(NamedTuple):
    """Terms that mean something alike, and where they stand between white wines and red ones."""

    tone: float
    """-1: said of white wines, +1: said of red ones, 0: of either."""

    terms: tuple[str, ...]


def _group(tone: float, words: str) -> Group:
    return Group(tone, tuple(word.strip() for word in words.split(",")))


GROUPS: Final[dict[str, Group]] = {
    "citrus": _group(
        -1.0,
        "lemon, grapefruit, lime, lemon zest, orange peel, tangerine, mandarin, lemon curd, "
        "preserved lemon, yuzu, blood orange, bergamot, kumquat, candied citron, lime leaf",
    ),
    "orchard fruit": _group(
        -0.9,
        "green apple, pear, yellow apple, quince, baked apple, ripe pear, apple skin, cider, "
        "poached pear, bruised apple, nashi pear, crab apple, medlar, pear drop, apple core",
    ),
    "stone fruit": _group(
        -0.9,
        "white peach, apricot, nectarine, yellow peach, dried apricot, peach skin, yellow plum, "
        "mirabelle, greengage, apricot jam, peach nectar, apricot kernel, peach stone, loquat",
    ),
    "tropical fruit": _group(
        -1.0,
        "pineapple, melon, mango, passion fruit, guava, lychee, banana, papaya, kiwi, cantaloupe, "
        "candied pineapple, star fruit, honeydew, dragon fruit, coconut water",
    ),
    "white flowers": _group(
        -1.0,
        "white blossom, honeysuckle, orange blossom, jasmine, acacia, elderflower, chamomile, "
        "linden, meadow flowers, hawthorn, apple blossom, lily, mimosa, gardenia, magnolia",
    ),
    "honey": _group(
        -0.8,
        "honey, beeswax, honeycomb, acacia honey, marzipan, lanolin, saffron, barley sugar, "
        "heather honey, nougat, quince paste, candle wax, golden syrup, mead, royal jelly",
    ),
    "green": _group(
        -0.7,
        "cut grass, gooseberry, green pepper, basil, mint, nettle, tomato leaf, fennel, asparagus, "
        "lemongrass, green bean, tarragon, dill, celery leaf, snow pea, sorrel",
    ),
    "mineral": _group(
        -0.8,
        "wet stone, chalk, flint, sea salt, slate, crushed rock, saline, oyster shell, limestone, "
        "sea breeze, river pebble, steel, struck match, petrichor, iodine",
    ),
    "bread": _group(
        -0.6,
        "brioche, toasted bread, biscuit, yeast, bread dough, pastry, lees, shortbread, croissant, "
        "sourdough, malt, oatmeal, rye crust, wheat, panettone",
    ),
    "dairy": _group(
        -0.6,
        "butter, cream, custard, vanilla cream, yoghurt, popcorn, sour cream, butterscotch, "
        "lactic, cheese rind, buttermilk, clotted cream, rice pudding, whey",
    ),
    "nuts": _group(
        -0.4,
        "almond, hazelnut, walnut, toasted almond, roasted nuts, chestnut, bitter almond, praline, "
        "pecan, pistachio, cashew, walnut skin, almond milk, peanut",
    ),
    "oak": _group(
        0.3,
        "vanilla, oak, toast, cedar, smoke, caramel, clove, toasted oak, coconut, sandalwood, "
        "cigar box, char, resin, pencil shavings, bourbon, sawdust",
    ),
    "red fruit": _group(
        0.9,
        "red cherry, raspberry, strawberry, cranberry, sour cherry, redcurrant, red plum, "
        "pomegranate, wild strawberry, raspberry jam, rhubarb, cherry stone, strawberry jam, "
        "maraschino, rose hip",
    ),
    "black fruit": _group(
        1.0,
        "blackberry, black cherry, plum, blackcurrant, blueberry, cassis, boysenberry, damson, "
        "mulberry, black plum, elderberry, bramble, blackberry jam, sloe, bilberry",
    ),
    "dried fruit": _group(
        0.7,
        "prune, raisin, fig, date, dried cherry, fruit cake, stewed plum, fig jam, sultana, "
        "dried cranberry, baked cherry, treacle, plum pudding, currant",
    ),
    "dark flowers": _group(
        0.7,
        "violet, rose, dried rose, lavender, peony, iris, potpourri, hibiscus, rose water, lilac, "
        "geranium, carnation, wilted rose, cornflower",
    ),
    "sweet spice": _group(
        0.2,
        "cinnamon, liquorice, nutmeg, ginger, star anise, allspice, cardamom, aniseed, "
        "gingerbread, candied ginger, mace, spice box, vanilla pod, turmeric",
    ),
    "pepper": _group(
        0.6,
        "black pepper, white pepper, cumin, chili, paprika, pink peppercorn, bay leaf, juniper, "
        "mustard seed, green peppercorn, caraway, coriander seed, curry leaf",
    ),
    "dried herbs": _group(
        0.5,
        "dried herbs, thyme, sage, rosemary, eucalyptus, garrigue, menthol, oregano, hay, "
        "wild fennel, pine needle, tea leaf, heather, camphor",
    ),
    "earth": _group(
        0.8,
        "wet earth, forest floor, mushroom, truffle, dust, clay, beetroot, leaf litter, moss, "
        "undergrowth, turned soil, bark, porcini, fern, peat",
    ),
    "leather": _group(
        0.9,
        "leather, game, cured meat, smoked meat, iron, bacon fat, saddle, beef broth, musk, "
        "barnyard, soy, blood, salami, venison",
    ),
    "roast": _group(
        0.9,
        "dark chocolate, cocoa, coffee, mocha, tobacco, espresso, black tea, milk chocolate, "
        "toffee, cigar, molasses, chicory, kirsch, carob",
    ),
    "tar": _group(
        0.7,
        "graphite, tar, ink, ash, charcoal, pencil lead, asphalt, rubber, gunpowder, coal, "
        "engine oil, soot, petrol, kerosene",
    ),
    "texture": _group(
        0.0,
        "smooth, rich, round, creamy, silky, dense, velvety, supple, plush, chewy, lean, oily, "
        "waxy, glossy, satin, weighty",
    ),
    "tannin": _group(
        0.9,
        "firm tannin, fine tannin, soft tannin, structured, grippy, ripe tannin, drying, dusty "
        "tannin, astringent, tight, polished tannin, sturdy, muscular, chalky tannin, sinewy",
    ),
    "acidity": _group(
        -0.5,
        "crisp, fresh, bright, juicy, tart, zesty, lively, tangy, refreshing, racy, mouthwatering, "
        "sharp, brisk, piercing, nervy",
    ),
    "sweetness": _group(
        -0.3,
        "ripe, sweet, off-dry, jammy, candied, honeyed, luscious, syrupy, marmalade, bittersweet, "
        "sugared, nectar, crystallised fruit, medium sweet",
    ),
    "stature": _group(
        0.1,
        "balanced, elegant, complex, long finish, concentrated, intense, powerful, layered, "
        "ageworthy, refined, persistent, deep, harmonious, poised, nuanced, seamless",
    ),
    "plainness": _group(
        -0.1,
        "light, simple, soft, easy, straightforward, short finish, mild, modest, thin, neutral, "
        "everyday, uncomplicated, faint, watery",
    ),
    "bubbles": _group(
        -0.9,
        "fine bubbles, foamy, creamy mousse, fizzy, frothy, lively mousse, persistent bead, "
        "prickle, soft bubbles",
    ),
}

TERMS: Final[tuple[str, ...]] = tuple(term for group in GROUPS.values() for term in group.terms)

#: Other words that a taster may use, and the terms that they mean.
SYNONYMS: Final[dict[str, str]] = {
    "acidic": "tart",
    "buttery": "butter",
    "citrus": "lemon",
    "effervescent": "fizzy",
    "full-bodied": "powerful",
    "grass": "cut grass",
    "grassy": "cut grass",
    "high acid": "racy",
    "lemony": "lemon",
    "limey": "lime",
    "minerally": "wet stone",
    "minty": "mint",
    "peachy": "white peach",
    "salty": "sea salt",
}
