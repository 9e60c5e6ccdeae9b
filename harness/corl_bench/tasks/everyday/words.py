"""The words that questions are made of. Each list is ours; none is from a dictionary or a test."""

from __future__ import annotations

NAMES = ("Ada", "Bruno", "Clara", "Dario", "Elif", "Femi", "Greta", "Hugo", "Ines", "Jonas")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
DIRECTIONS = (
    *("north", "northeast", "east", "southeast"),
    *("south", "southwest", "west", "northwest"),
)
"""Clockwise."""
MADE_UP = ("blips", "dorns", "fennets", "glomps", "krells", "mibs", "quarns", "tovers", "zindles")

OPPOSITES = (
    ("ancient", "modern"),
    ("arrive", "depart"),
    ("borrow", "lend"),
    ("brave", "cowardly"),
    ("broad", "narrow"),
    ("clumsy", "graceful"),
    ("damp", "dry"),
    ("expand", "shrink"),
    ("failure", "success"),
    ("generous", "stingy"),
    ("hollow", "solid"),
    ("humble", "proud"),
    ("loosen", "tighten"),
    ("noisy", "silent"),
    ("reveal", "hide"),
    ("rough", "smooth"),
    ("scarce", "plentiful"),
    ("shallow", "deep"),
    ("temporary", "permanent"),
)
"""No second word is the opposite of another first one."""

KINDS = {
    "fruits": ("apple", "cherry", "grape", "mango", "pear", "plum"),
    "tools": ("chisel", "hammer", "pliers", "saw", "screwdriver", "wrench"),
    "musical instruments": ("cello", "clarinet", "flute", "harp", "trumpet", "violin"),
    "birds": ("crow", "eagle", "owl", "robin", "sparrow", "stork"),
    "pieces of furniture": ("armchair", "bookcase", "sofa", "stool", "table", "wardrobe"),
    "vehicles": ("bicycle", "bus", "lorry", "motorcycle", "tram", "van"),
    "garments": ("coat", "glove", "scarf", "shirt", "skirt", "sweater"),
    "fish": ("carp", "cod", "herring", "pike", "salmon", "trout"),
    "trees": ("ash", "beech", "birch", "maple", "oak", "willow"),
    "shapes": ("circle", "hexagon", "oval", "rhombus", "trapezoid", "triangle"),
}
CONFUSABLE = frozenset({"fruits", "trees"})
"""A cherry is both."""

ANALOGIES = {
    "young animal": (
        ("puppy", "dog"), ("kitten", "cat"), ("calf", "cow"), ("foal", "horse"),
        ("lamb", "sheep"), ("duckling", "duck"), ("piglet", "pig"), ("tadpole", "frog"),
    ),
    "maker": (
        ("bread", "baker"), ("chair", "carpenter"), ("poem", "poet"), ("statue", "sculptor"),
        ("suit", "tailor"), ("symphony", "composer"), ("bridge", "engineer"), ("shoe", "cobbler"),
    ),
    "home": (
        ("bee", "hive"), ("bird", "nest"), ("spider", "web"), ("rabbit", "burrow"),
        ("horse", "stable"), ("bear", "den"), ("king", "palace"), ("monk", "monastery"),
    ),
    "part": (
        ("page", "book"), ("petal", "flower"), ("key", "piano"), ("wheel", "car"),
        ("finger", "hand"), ("brick", "wall"), ("branch", "tree"), ("sail", "boat"),
    ),
}  # fmt: skip
"""Pairs of one relation; within it no first word goes with two second ones."""

SPELLINGS = (
    ("accommodate", ("acommodate", "accomodate", "acomodate", "accommadate")),
    ("calendar", ("calandar", "calander", "callendar", "calendir")),
    ("definitely", ("definately", "definitly", "defenitely", "definetely")),
    ("embarrass", ("embarass", "embaras", "embbarass", "emberrass")),
    ("February", ("Febuary", "Febrary", "Feburary", "Februery")),
    ("government", ("goverment", "govermnent", "governmant", "govenment")),
    ("height", ("hieght", "heigth", "heihgt", "hieghth")),
    ("immediately", ("imediately", "immediatly", "immedietely", "imediatly")),
    ("library", ("libary", "librery", "liberary", "librarry")),
    ("necessary", ("neccessary", "necesary", "neccesary", "necessery")),
    ("occurred", ("occured", "ocurred", "ocured", "occurered")),
    ("privilege", ("priviledge", "privelege", "privilage", "priveledge")),
    ("rhythm", ("rythm", "rhythem", "rhytm", "rythem")),
    ("separate", ("seperate", "separete", "seperete", "sepparate")),
    ("Wednesday", ("Wensday", "Wednsday", "Wedensday", "Wednessday")),
    ("weird", ("wierd", "weerd", "wierde", "weired")),
    ("tomorrow", ("tommorow", "tommorrow", "tomorow", "tomorrrow")),
)
