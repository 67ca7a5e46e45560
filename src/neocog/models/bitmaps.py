"""The ten digits as bitmaps of 12 rows and 7 columns: the targets of the original LeNet-5's output units.

The idea and the size are those of LeCun, Bottou, Bengio, Haffner (1998), figure 3; the drawings are our own.
"""

from __future__ import annotations

ROWS, COLUMNS = 12, 7

_PICTURES = """
..###..  ...##..  .#####.  .#####.  .....##  #######  ...###.  #######  .#####.  .#####.
.##.##.  ..###..  ##...##  ##...##  ....###  ##.....  ..##...  #....##  ##...##  ##...##
##...##  .####..  ##...##  .....##  ...####  ##.....  .##....  .....##  ##...##  ##...##
##...##  ...##..  .....##  .....##  ..##.##  ##.....  ##.....  ....##.  ##...##  ##...##
##...##  ...##..  .....##  .....##  ..##.##  ##.....  ##.....  ....##.  .##.##.  ##...##
##...##  ...##..  ....##.  ..####.  .##..##  ######.  ##.###.  ...##..  ..###..  .######
##...##  ...##..  ...##..  .....##  ##...##  .....##  ###..##  ..####.  .##.##.  .....##
##...##  ...##..  ..##...  .....##  #######  .....##  ##...##  ...##..  ##...##  .....##
##...##  ...##..  .##....  .....##  .....##  .....##  ##...##  ..##...  ##...##  .....##
##...##  ...##..  ##.....  ##...##  .....##  .....##  ##...##  ..##...  ##...##  ....##.
.##.##.  ...##..  ##.....  ##...##  .....##  ##...##  ##...##  .##....  ##...##  ...##..
..###..  .######  #######  .#####.  .....##  .#####.  .#####.  .##....  .#####.  .###...
"""


def digit_bitmaps() -> tuple[tuple[int, ...], ...]:
    """The digits 0 to 9 in order, each as 84 values, row after row: +1 where there is ink, -1 where there is none."""
    lines = [line.split() for line in _PICTURES.split("\n") if line]
    return tuple(
        tuple(1 if pixel == "#" else -1 for line in lines for pixel in line[digit]) for digit in range(len(lines[0]))
    )
