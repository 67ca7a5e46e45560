"""How good a network is on a set of images: figures, confusion, calibration and the answers they come from."""

from neocog.evaluation.answers import Evaluation as Evaluation
from neocog.evaluation.calibration import Bin as Bin
from neocog.evaluation.calibration import Calibration as Calibration
from neocog.evaluation.classes import ClassFigures as ClassFigures
from neocog.evaluation.classes import MacroFigures as MacroFigures
from neocog.evaluation.measuring import measure as measure
from neocog.evaluation.temperature import Temperature as Temperature
from neocog.evaluation.temperature import check_temperature as check_temperature
from neocog.evaluation.temperature import fit_temperature as fit_temperature
from neocog.evaluation.temperature import usable as usable
