"""Target codes of the output units of the 1998 network: a stylized bitmap of each digit.

In the paper (section II.B), the code of each class is a 7x12 bitmap with +1 for black and
-1 for white, so that similar characters have similar codes. Its figure 3 shows the bitmaps
of all printable ASCII characters. The bitmaps in this module were drawn from the
description.
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
    """Return the bitmaps of the digits, of shape (10, 12, 7), with values +1 and -1."""
    rows = [line.split() for line in _BITMAPS.strip().splitlines() if line]
    digits = []
    for half in (rows[:HEIGHT], rows[HEIGHT:]):
        digits += [[row[k] for row in half] for k in range(5)]
    black = [[[pixel == "#" for pixel in row] for row in digit] for digit in digits]
    return np.where(np.array(black), 1.0, -1.0).astype(np.float32)


def make_separated_codes(n_classes: int, length: int) -> np.ndarray:
    """Return codes of +1 and -1 that differ pairwise in about half of their elements.

    They are rows of a Hadamard matrix (Sylvester's construction) without its constant row,
    truncated to `length`.

    Parameters
    ----------
    n_classes : int
        Number of codes.
    length : int
        Length of each code.

    Returns
    -------
    ndarray of shape (n_classes, length)
    """
    rows, columns = np.arange(1, n_classes + 1)[:, None], np.arange(length)
    return np.where(np.bitwise_count(rows & columns) % 2, -1.0, 1.0).astype(np.float32)


def make_codes(classes: np.ndarray, length: int) -> np.ndarray:
    """Return the target code of each class.

    If all classes are digits, as numbers or as text, and the codes have 84 elements, the
    codes are the bitmaps of the digits. Otherwise, they are separated codes.

    Parameters
    ----------
    classes : array-like of shape (n_classes,)
        Class labels.
    length : int
        Length of each code: the number of units of the last hidden layer.

    Returns
    -------
    ndarray of shape (n_classes, length)

    Raises
    ------
    ValueError
        If `length` is too small for codes that differ.
    """
    names = [str(label) for label in np.asarray(classes).tolist()]
    are_digits = all(len(name) == 1 and name in "0123456789" for name in names)
    if are_digits and length == WIDTH * HEIGHT:
        return make_digit_bitmaps().reshape(10, -1)[[int(name) for name in names]]
    codes = make_separated_codes(len(names), length)
    if len(np.unique(codes, axis=0)) < len(names):
        raise ValueError(
            f"The 'hidden' parameter ends with {length} units: too few for distinct codes"
            f" of {len(names)} classes, which output='rbf' needs. The 1998 paper uses 84."
        )
    return codes
