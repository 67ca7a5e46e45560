"""Classifiers side by side on the same images, and whether their difference is more than chance."""

from neocog.comparison.compare import Compared as Compared
from neocog.comparison.compare import Comparison as Comparison
from neocog.comparison.compare import Difference as Difference
from neocog.comparison.compare import Pair as Pair
from neocog.comparison.compare import compare as compare
from neocog.comparison.mcnemar import McNemar as McNemar
from neocog.comparison.mcnemar import holm as holm
from neocog.comparison.mcnemar import mcnemar as mcnemar
