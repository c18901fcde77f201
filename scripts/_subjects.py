"""What the photographs of photos-mini show, by hand: one of three coarse classes, or none where two would fit.

A class belongs to the photograph, not to the crop: a native-scale crop of an animal's photograph may show grass only.
Photographs left out show people, things, the sky or the sea, or an animal too small in a landscape to decide; there
are too few of each for a class.
"""

from __future__ import annotations

_MONUMENTS = (
    "arlesAmphitheater berlinCathedral castleClinton charminar chichenItza citedeCarcassonne fortSumter greatStupa "
    "hawaMahal konarkSunTemple lincolnMemorial meidumPyramid navajo palaisdesPapes petra pontduGard reimsCathedral "
    "schwerinPalace wormsCathedral"
)
_ANIMALS = (
    "alpaca bee calf caterpillar chamaeleon cheetah crab gibbon gorilla kingfisher kitten meerkats nubian_ibex pika "
    "red_panda rhinoceros squirrel toucan"
)
_WORLD = "bison crocodile hedgehog jaguar koala lemur"

CLASSES: dict[str, tuple[str, ...]] = {
    "animal": (
        *(f"gcompris-erase-{name}" for name in _ANIMALS.split()),
        *(f"gcompris-world-animals-{name}" for name in _WORLD.split()),
        "gcompris-farm-animals-chicken",
        "gcompris-farm-animals-sheep",
        "scipy-raccoon",
        "skimage-chelsea",
    ),
    "building": (*(f"gcompris-monuments-{name}" for name in _MONUMENTS.split()), "sklearn-china"),
    "nature": (
        "gcompris-monuments-canyondeChelly",
        "gcompris-monuments-machuPicchu",
        "lomiri-life",
        "lomiri-picosdeeuropa",
        "lomiri-seeding",
    ),
}


def subject_truth(photo: str) -> dict[str, str]:
    """The truth of a crop: its class, and its photograph as the group that must not be split between folds."""
    return next(({"class": name, "group": photo} for name, photos in CLASSES.items() if photo in photos), {})
