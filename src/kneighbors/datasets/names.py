"""Names of wineries and vineyards, put together from syllables.

They are invented: that one is like a real name is accident. `LANGUAGES` says how a language forms
them, `LANGUAGE_OF` which one a country speaks here.
"""

from __future__ import annotations

from functools import cached_property
from itertools import product
from typing import Final


class Language:
    """The sound of a country's names.

    Parameters
    ----------
    starts, ends : str
        Syllables, separated by blanks; each start meets each end.
    houses, vineyards : str
        Patterns, separated by commas, in which ``{}`` stands for such a word.
    """

    def __init__(self, starts: str, ends: str, houses: str, vineyards: str) -> None:
        self._words = [start + end for start, end in product(starts.split(), ends.split())]
        self._houses = houses
        self._vineyards = vineyards

    @cached_property
    def houses(self) -> list[str]:
        """Every winery's name."""
        return self._names(self._houses)

    @cached_property
    def vineyards(self) -> list[str]:
        """Every vineyard's name."""
        return self._names(self._vineyards)

    def _names(self, patterns: str) -> list[str]:
        forms = [pattern.strip() for pattern in patterns.split(",")]
        # The pattern comes first, so that neighbours in the list differ in the word.
        return [form.format(word) for form, word in product(forms, self._words)]


LANGUAGES: Final[dict[str, Language]] = {
    "english": Language(
        "Alder Ash Birch Black Bright Cold Crow Elder Fallow Fox Gran Hart Hazel Heron High Iron "
        "Kest Larch Long Marl Mill Oat Quarry Raven Red Rook Salt Silver Stone Thorn West Wren",
        "brook bury combe croft dale den field ford gate ham heath hill holt hurst ley low mere "
        "moor reach ridge row shaw stead stow ton wade wick wold worth yard",
        "{}, {} Estate, {} Cellars, {} Vineyards, {} Creek, {} & Daughters",
        "{} Block, {} Vineyard, {} Ranch, {} Slope, Upper {}, Old {}",
    ),
    "french": Language(
        "Arm Aub Bel Briss Chant Corm Dar Esp Fauv Garr Hav Jolv Lamb Lor Marv Mont Noir Or Pell "
        "Quer Rav Rouv Sab Serv Tram Vald Verc Vill",
        "ac agne ais anne ard aron aude ay eau elle enay enne erac eron euil ignac igny illac oire "
        "ole onne ouse oux uze",
        "Château {}, Domaine {}, Mas {}, Clos {}, Caves {}, {} Frères",
        "Les Hauts {}, Clos {}, La Côte {}, Vieilles Vignes {}, Le Bois {}, Combe {}",
    ),
    "italian": Language(
        "Albar Bell Bruss Cald Carm Cast Dorm Fall Ferr Gamb Gherl Lamb Mart Mol Mont Ner Orl Pal "
        "Pietr Quarr Rocc Salv Sass Tarn Torr Val Verd Zan",
        "ana andro aro assa ate edo ella ena enga era esco etto iano igo ina ino ola one ora osta "
        "ucci ura uto uzzo",
        "Tenuta {}, Cantina {}, Poggio {}, Fattoria {}, Ca' {}, {} e Figli",
        "Vigna {}, Bricco {}, Colle {}, Costa {}, Campo {}, Sorì {}",
    ),
    "spanish": Language(
        "Agu Alm Barr Cab Carm Cerr Dor Esp Fuent Gran Huert Jar Lag Llan Mir Mont Nav Oliv Pedr "
        "Quint Rib Sald Tord Ull Val Vill Zar Zurb",
        "ada ajos alba ales alva andes anza aque ares aza ejo enda ente era erta eza ideo illos "
        "ola osa oyo ueña uela urias",
        "Bodegas {}, Viña {}, Finca {}, Hacienda {}, Casa {}, Pago {}",
        "El {}, La Loma {}, Viña Alta {}, Los Llanos {}, Cuesta {}, Camino {}",
    ),
    "portuguese": Language(
        "Aldr Alv Bair Carv Cast Corr Esp Fei Fonts Gav Lag Lour Marv Mour Oliv Pal Pinh Quel Ram "
        "Sabr Tamar Val Vim Zamb",
        "ais al anda ão arim az edo eira eiro elos ende eza idos inha inho oa oeira osa oso udo",
        "Quinta do {}, Quinta da {}, Herdade {}, Casa {}, Adega {}, Solar {}",
        "Vinha {}, Encosta {}, Monte {}, Alto {}, Vale {}, Ribeira {}",
    ),
    "german": Language(
        "Adel Alt Birk Brand Dorn Eber Eich Falk Frei Grau Hart Hirsch Kalt Königs Lang Linden "
        "Mönch Nieder Ober Rauh Rosen Sonn Stein Tann Uhl Wald Wein Wolf",
        "acker au bach berg born bruch brunn bühl dorf eck feld furt garten halde heim hof horn "
        "leite mauer rain stein tal weiler wies",
        "Weingut {}, Schloss {}, Winzerhof {}, Hofgut {}, {} & Sohn, Gutshof {}",
        "Am {}, Im {}, Alte Reben {}, Ried {}, Unterer {}, Oberer {}",
    ),
    "hungarian": Language(
        "Bár Bors Csob Der Erd Füz Gönc Hárs Ken Kis Mád Nagy Olasz Pál Rát Som Szam Tálly Var "
        "Zemp",
        "ány áta békés di ely falu halom hát hegy kő ka lak mező os patak ró szeg tanya vár völgy",
        "{} Pince, {} Pincészet, {} Birtok, {} és Fia",
        "{} dűlő, Felső {}, Öreg {}, Nagy {}",
    ),
    "greek": Language(
        "Agr Alex Amph Ark Dor Elaf Galan Ker Kyth Lef Lyk Mak Mel Nem Orf Pal Phil Rod Sel Theod",
        "akis aki ambelos andros anos aris aros eas enis idis ikos inos ios issos itis onas "
        "opoulos oudis oussa yros",
        "{} Estate, Ktima {}, Domaine {}, {} Winery",
        "Ampelones {}, Ano {}, Palaia {}, Petra {}",
    ),
}

LANGUAGE_OF: Final[dict[str, str]] = {
    "Argentina": "spanish",
    "Australia": "english",
    "Austria": "german",
    "Chile": "spanish",
    "France": "french",
    "Germany": "german",
    "Greece": "greek",
    "Hungary": "hungarian",
    "Italy": "italian",
    "New Zealand": "english",
    "Portugal": "portuguese",
    "South Africa": "english",
    "Spain": "spanish",
    "US": "english",
    "Uruguay": "spanish",
}
