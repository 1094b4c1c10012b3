"""What the output units of the 1998 network wait for: a stylised picture of each digit.

The paper (section II.B) draws each class' code as a 7x12 bitmap, +1 where it is black and
-1 where it is white, so that what looks alike is close. It shows the bitmaps of all of
ASCII in its figure 3; those here are drawn after the description, not copied.
"""

import numpy as np

WIDTH, HEIGHT = 7, 12

_BITMAPS = """
..###..  ...##..  .#####.  #######  ....##.
.#...#.  ..###..  ##...##  .....##  ...###.
##...##  .####..  ##...##  ....##.  ..####.
##...##  ...##..  .....##  ...##..  ..#.##.
##...##  ...##..  .....##  ..####.  .##.##.
##...##  ...##..  ....##.  .....##  .#..##.
##...##  ...##..  ...##..  .....##  ##..##.
##...##  ...##..  ..##...  .....##  ##..##.
##...##  ...##..  .##....  .....##  #######
##...##  ...##..  ##.....  ##...##  ....##.
.#...#.  ...##..  ##.....  ##...##  ....##.
..###..  .######  #######  .#####.  ....##.

#######  ..####.  #######  .#####.  .#####.
##.....  .##....  ##...##  ##...##  ##...##
##.....  ##.....  .....##  ##...##  ##...##
##.....  ##.....  .....##  ##...##  ##...##
######.  ##.....  ....##.  ##...##  ##...##
##...##  ######.  ....##.  .#####.  ##...##
.....##  ##...##  ...##..  ##...##  .######
.....##  ##...##  ...##..  ##...##  .....##
.....##  ##...##  ..##...  ##...##  .....##
.....##  ##...##  ..##...  ##...##  .....##
##...##  ##...##  ..##...  ##...##  ....##.
.#####.  .#####.  ..##...  .#####.  .####..
"""


def make_digit_bitmaps() -> np.ndarray:
    """Return the bitmaps of the digits 0 to 9, +1 and -1, of shape (10, 12, 7)."""
    rows = [line.split() for line in _BITMAPS.strip().splitlines() if line]
    digits = []
    for half in (rows[:HEIGHT], rows[HEIGHT:]):
        digits += [[row[k] for row in half] for k in range(5)]
    black = [[[pixel == "#" for pixel in row] for row in digit] for digit in digits]
    return np.where(np.array(black), 1.0, -1.0).astype(np.float32)


def make_separated_codes(n_classes: int, length: int) -> np.ndarray:
    """Return +1/-1 codes that differ from each other in about half of their places.

    They are rows of a Hadamard matrix of Sylvester's construction, the constant one left
    out, cut to `length`.

    Returns
    -------
    ndarray of shape (n_classes, length)
    """
    rows, columns = np.arange(1, n_classes + 1)[:, None], np.arange(length)
    return np.where(np.bitwise_count(rows & columns) % 2, -1.0, 1.0).astype(np.float32)


def make_codes(classes: np.ndarray, length: int) -> np.ndarray:
    """Return a code for each class, of shape (n_classes, length).

    Digits, as numbers or text, have their bitmaps where the codes are of 84 places; any
    other labels, or lengths, have separated codes.

    Raises
    ------
    ValueError
        If the length is too small for codes that differ.
    """
    names = [str(label) for label in np.asarray(classes).tolist()]
    if length == WIDTH * HEIGHT and all(
        len(name) == 1 and name in "0123456789" for name in names
    ):
        return make_digit_bitmaps().reshape(10, -1)[[int(name) for name in names]]
    codes = make_separated_codes(len(names), length)
    if len(np.unique(codes, axis=0)) < len(names):
        raise ValueError(
            f"The 'hidden' parameter ends with {length} units: too few for codes that tell"
            f" {len(names)} classes apart, which output='rbf' needs. The paper has 84."
        )
    return codes
