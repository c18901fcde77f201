"""The faces of faces-mini: where they are, by hand, which views show them, and what its card says.

Boxes reach from the hairline to the chin and from side to side of the face. Points were placed by eye on an enlargement
with a grid; those of the band were compared with what ``tokbench images build --faces`` proposes.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Face:
    """A face in a photograph of the pool; coordinates are pixels of the pool's PNG.

    ``points`` are, as seen in the image: left eye, right eye, nose tip, left and right mouth corner. A point behind a
    mouthpiece or a bow is where it would be seen without; a face turned so far that an eye is hidden by the face itself
    has none.
    """

    identity: str
    box: tuple[int, int, int, int]
    points: tuple[tuple[float, float], ...] = ()


FACES: dict[str, tuple[Face, ...]] = {
    "skimage-astronaut": (
        Face(
            "eileen-collins",
            (179, 70, 268, 180),
            ((203.6, 101.0), (246.6, 103.4), (225.0, 127.0), (203.6, 139.6), (244.6, 140.8)),
        ),
    ),
    "matplotlib-grace-hopper": (
        Face(
            "grace-hopper",
            (165, 132, 360, 333),
            ((223.2, 190.0), (305.5, 187.0), (267.5, 242.0), (227.5, 281.0), (307.5, 276.0)),
        ),
    ),
    "nikola-tesla-young": (
        Face(
            "nikola-tesla", (88, 92, 200, 238), ((135, 138), (180, 154), (154, 183), (115, 203), (147, 217))
        ),
    ),
    "nikola-tesla-seated": (
        Face(
            "nikola-tesla", (86, 58, 168, 175), ((104, 117), (137.5, 103), (127, 137), (121, 156), (151, 149))
        ),
    ),
    "gcompris-world-music-mexico": (
        Face(
            "unnamed-guitarist",
            (824, 258, 975, 450),
            ((838, 345), (872, 322), (843, 370), (872, 407), (909, 380)),
        ),
        Face("unnamed-singer", (724, 268, 818, 408)),
        Face(
            "unnamed-trumpeter-1",
            (367, 128, 436, 222),
            ((388, 156), (409, 167), (387, 175), (377, 189), (392, 197)),
        ),
        Face(
            "unnamed-trumpeter-2",
            (644, 272, 708, 372),
            ((653, 303), (675, 303.5), (653, 316), (648, 333), (662, 336)),
        ),
        Face(
            "unnamed-violinist",
            (133, 118, 190, 192),
            ((138.5, 146.5), (164, 151.5), (145, 165), (142, 177), (159, 178)),
        ),
    ),
}

# Portraits that photos-mini leaves to this set; photographs of groups are in both.
FACE_PHOTOS = tuple(photo for photo, faces in FACES.items() if len(faces) == 1)

# (photograph, name of the view, square x0, y0, side in pixels of the pool's PNG)
FACE_VIEWS: tuple[tuple[str, str, int, int, int], ...] = (
    ("skimage-astronaut", "close", 94, 0, 256),
    ("skimage-astronaut", "medium", 48, 0, 384),
    ("skimage-astronaut", "far", 0, 0, 512),
    ("matplotlib-grace-hopper", "close", 134, 80, 256),
    ("matplotlib-grace-hopper", "medium", 90, 20, 352),
    ("matplotlib-grace-hopper", "far", 6, 6, 500),
    ("nikola-tesla-young", "close", 0, 40, 252),
    ("nikola-tesla-seated", "close", 2, 0, 256),
    ("nikola-tesla-seated", "far", 0, 0, 322),
    ("gcompris-world-music-mexico", "guitarist", 744, 170, 280),
    ("gcompris-world-music-mexico", "singer", 600, 200, 256),
    ("gcompris-world-music-mexico", "trumpeter", 290, 70, 256),
    ("gcompris-world-music-mexico", "violinist", 20, 40, 256),
    ("gcompris-world-music-mexico", "brass", 300, 40, 400),
    ("gcompris-world-music-mexico", "group", 344, 0, 680),
    ("gcompris-world-music-mexico", "left", 0, 0, 680),
    ("gcompris-world-music-mexico", "right", 424, 80, 600),
)

CARD: dict[str, str] = {
    "version": "2",
    "title": "17 views of 5 photographs, 8 people, with face boxes and points; one person in two photographs",
    "source": (
        "scikit-image (NASA portrait), matplotlib (U.S. Navy portrait), Nikola (two old photographs of Nikola Tesla), "
        "GCompris (CC0 photograph of a mariachi band); views and truth by hand in scripts/_faces.py. What was looked "
        "at and left out, and why, is listed in README.md"
    ),
    "purpose": (
        "Smoke test of face tasks offline. Of 26 faces 22 have five points; by the long side of the box over that of "
        "the image, in TokBench's bins at setting 256: 5 small (0.1 to 0.2), 6 medium (0.2 to 0.3), 11 large. Two "
        "independent photographs show Nikola Tesla at different ages, so that verification has a pair that no "
        "tokenizer can match by the background."
    ),
    "not_for": (
        "Recognition accuracy, demographic comparison, or identifying anybody. Several views come from one photograph "
        "(three of each portrait of a woman, eight of the band), so that views of one person are not independent "
        "pictures except Tesla's; all small faces are of the band, whose members are unnamed and must stay so."
    ),
    "bias": (
        "Eight people. Posed official portraits of two white American women; black and white, grainy, retouched ones "
        "of one white man; five musicians in half profile, partly hidden by instruments, so that some of their points "
        "stand where they must be; the one in profile has a box only. Light to medium skin; no child; all by day or "
        "in a studio."
    ),
}
