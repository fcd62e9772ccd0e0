"""Layouts of licence plates: sizes in millimetres, colours, groups of characters, bands, strips and borders.

They resemble the countries' plates in what can be seen of one from a distance; none is exact.

In a pattern, `@` is a letter, `#` a digit, `$` one of the layout's codes, `-` a drawn dash, `*` a pair of seals, a
space a gap, `|` the end of the upper row. Everything else stands for itself.
"""

from __future__ import annotations

import dataclasses

Color = tuple[int, int, int]

BLACK, WHITE, BLUE, YELLOW = (16, 16, 18), (238, 238, 234), (10, 50, 150), (246, 190, 20)
LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"  # most countries leave out I, O and Q, which resemble digits
ALL = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
EU = (520.0, 110.0)
SQUARE = (340.0, 200.0)


@dataclasses.dataclass(frozen=True)
class Layout:
    """One kind of plate."""

    name: str
    patterns: tuple[str, ...]
    size: tuple[float, float] = EU
    letters: str = LETTERS
    codes: tuple[str, ...] = ()
    colors: tuple[tuple[Color, Color], ...] = ((BLACK, WHITE),)  # ink and paper
    cap: float = 76.0  # height of the characters
    cell: float = 47.0  # width of a character with its gap
    gap: float = 22.0  # width of a space
    band: str = ""  # letters at the foot of a blue band on the left
    right: str = ""  # the same on the right; "##" for digits
    strip: tuple[str, ...] = ()  # words above the characters, one of them
    strip_paper: Color | None = None  # colour of a bar behind them
    foot: tuple[str, ...] = ()  # words below the characters
    border: float = 4.0  # width of the line around, 0 for none
    shades: tuple[Color, ...] = ()  # the paper fades to one of these towards its upper or lower edge


STATES = ("CALIFORNIA", "TEXAS", "FLORIDA", "OHIO", "NEVADA", "OREGON", "ARIZONA", "GEORGIA", "VIRGINIA", "COLORADO")
SLOGANS = ("dmv.gov", "THE LONE STAR STATE", "SUNSHINE STATE", "GRAND CANYON", "EMPIRE STATE", "FIRST IN FLIGHT", "")
AMERICAN: tuple[tuple[Color, Color], ...] = (
    ((30, 40, 100), WHITE),
    (BLACK, WHITE),
    ((20, 70, 50), WHITE),
    ((150, 25, 30), WHITE),
    ((20, 30, 80), (240, 170, 40)),
    ((240, 190, 40), (20, 30, 60)),
    (WHITE, (20, 80, 60)),
    ((20, 90, 50), (225, 235, 225)),
)
INDIAN = ("MH", "DL", "KA", "TN", "GJ", "UP", "RJ", "WB", "HR", "KL", "AP", "TS", "PB", "MP")
GERMAN = ("B", "M", "HH", "K", "F", "S", "D", "L", "DD", "HB", "MTK", "ERH", "NEA", "GAP", "FFB", "WUN", "RE", "KA")
SWISS = ("ZH", "BE", "AG", "VD", "GE", "LU", "SG", "TI")

LAYOUTS = (
    Layout("Germany", ("$*@@ ###", "$*@ ####", "$*@@ ####", "$*@ ##", "$*@ ###"), codes=GERMAN, letters=ALL, band="D"),
    Layout("Germany, two rows", ("$*|@@ ###", "$*|@ ####"), SQUARE, ALL, GERMAN, band="D", cell=46),
    Layout("France", ("@@-###-@@",), band="F", right="##", border=0, cell=48, gap=20),
    Layout(
        "United Kingdom",
        ("@@## @@@", "@### @@@", "@@## @@@"),
        colors=((BLACK, WHITE), (BLACK, YELLOW)),
        cap=79,
        cell=60,
        gap=33,
        foot=("", "", "MOTORS LTD", "www.cars.co.uk"),
        border=0,
    ),
    Layout("United Kingdom, band", ("@@## @@@",), cap=79, cell=56, gap=30, band="UK", border=0),
    Layout(
        "United Kingdom, two rows",
        ("@@##|@@@", "@###|@@@"),
        (285.0, 203.0),
        colors=((BLACK, WHITE), (BLACK, YELLOW)),
        cap=79,
        cell=60,
        border=0,
    ),
    Layout(
        "Netherlands",
        ("@@-##-@@", "##-@@-@@", "##-@@@-#", "@-###-@@", "@@-###-@"),
        letters="BDFGHJKLNPRSTVXZ",
        colors=((BLACK, YELLOW), (BLACK, (240, 170, 30))),
        band="NL",
        cell=52,
        gap=26,
    ),
    Layout("Poland", ("@@ #####", "@@@ ####", "@@ ####@", "@@@ ##@@"), band="PL", cap=80, cell=52),
    Layout("Italy", ("@@ ###@@",), band="I", right="##", border=0, cell=50, gap=30),
    Layout("Spain", ("#### @@@",), letters="BCDFGHJKLMNPRSTVWXYZ", band="E", cap=77, cell=50, gap=36),
    Layout("Turkey", ("## @ ####", "## @@ ###", "## @@@ ##"), band="TR", cell=50, gap=28),
    Layout("Switzerland", ("$-######", "$-#####"), (500.0, 110.0), codes=SWISS, cell=48, gap=22, border=0),
    Layout(
        "United States",
        ("#@@@###", "@@@-####", "@@@ ####", "### @@@", "@@@ ###", "####@@", "@@## @@@"),
        (305.0, 152.0),
        letters=ALL,
        colors=AMERICAN,
        cap=70,
        cell=38,
        gap=16,
        strip=STATES,
        foot=SLOGANS,
        border=2,
        shades=((150, 190, 235), (250, 200, 120), (240, 240, 240), (170, 210, 160), (235, 150, 110)),
    ),
    Layout(
        "India",
        ("$##@@####", "$## @@ ####", "$#@####", "$##@####"),
        (500.0, 120.0),
        codes=INDIAN,
        colors=((BLACK, WHITE), (BLACK, WHITE), (BLACK, YELLOW), (WHITE, (20, 110, 60))),
        cap=70,
        cell=44,
        gap=18,
        band="IND",
        border=3,
    ),
    Layout(
        "India, two rows",
        ("$##|@@####", "$##|@####"),
        SQUARE,
        codes=INDIAN,
        colors=((BLACK, WHITE), (BLACK, YELLOW)),
        cap=70,
        cell=48,
        border=3,
    ),
    Layout(
        "Brazil",
        ("@@@#@##",),
        (400.0, 130.0),
        ALL,
        colors=((BLACK, WHITE), (BLACK, WHITE), ((170, 20, 30), WHITE), ((20, 60, 150), WHITE)),
        cap=66,
        cell=50,
        strip=("BRASIL",),
        strip_paper=BLUE,
        border=3,
    ),
    Layout(
        "Argentina",
        ("@@ ### @@",),
        (400.0, 130.0),
        ALL,
        cap=66,
        cell=46,
        gap=20,
        strip=("REPUBLICA ARGENTINA",),
        strip_paper=BLUE,
        border=3,
    ),
    Layout(
        "Brazil, old",
        ("@@@-####",),
        (400.0, 130.0),
        colors=((BLACK, (175, 178, 180)), (WHITE, (150, 25, 30))),
        cap=66,
        cell=44,
        gap=18,
        strip=("SP-SAO PAULO", "RJ-RIO DE JANEIRO", "MG-CONTAGEM", "PR-CURITIBA"),
        border=3,
    ),
    Layout(
        "Australia",
        ("@@@-###", "#@@ #@@", "@@@ ###", "@@ ## @@"),
        (372.0, 134.0),
        colors=((BLACK, (245, 200, 40)), ((30, 60, 140), WHITE), (BLACK, WHITE), (WHITE, BLACK)),
        cap=74,
        cell=46,
        gap=22,
        foot=("NSW", "VICTORIA", "QUEENSLAND", "WESTERN AUSTRALIA"),
        border=3,
    ),
    Layout(
        "South Africa",
        ("@@ ## @@-GP", "@@@ ###-GP"),
        (520.0, 113.0),
        letters="BCDFGHJKLMNPRSTVWXYZ",
        colors=(((20, 60, 130), WHITE), ((20, 100, 60), WHITE)),
        cap=75,
        cell=48,
        gap=22,
        border=3,
    ),
)
