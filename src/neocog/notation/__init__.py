"""A network as text: parsing, printing, names, shapes, parameters, MACs and receptive fields, without torch.

    network = parse("conv 6 5x5 pad 2 | relu | maxpool 2 | flatten | linear classes")
    for layer in network.shapes((1, 28, 28), num_classes=10):
        print(layer.name, layer.text, layer.output_shape, layer.parameters)

`Network.tree()` is the walk to build modules from: (local name, `Layer` or `Block`) pairs in forward order,
with all repeats written out. The output of a residual `Block` is that of its children plus that of its
shortcut (the input itself where that is None). Every pair of numbers is (height, width).
"""

from neocog.errors import NotationError
from neocog.notation.nodes import Block, Group, Network, Node, Repeat, Residual, Tree
from neocog.notation.parser import parse
from neocog.notation.shapes import LayerShape, SumShape, check_shape, parse_shape
from neocog.notation.view import View, Way
from neocog.notation.why import field_text, why
from neocog.notation.words import READERS
from neocog.notation.words.activation import ACTIVATIONS, Activation, ActivationKind
from neocog.notation.words.base import Layer, Shape, shape_text
from neocog.notation.words.conv import Conv
from neocog.notation.words.dense import Flatten, Linear
from neocog.notation.words.pool import AvgPool, GlobalAvgPool, MaxPool
from neocog.notation.words.rbf import Rbf
from neocog.notation.words.regular import BatchNorm, Dropout
from neocog.notation.words.subsample import Subsample
from neocog.notation.words.table import Table
from neocog.notation.words.window import Window

__all__ = [
    "ACTIVATIONS",
    "READERS",
    "Activation",
    "ActivationKind",
    "AvgPool",
    "BatchNorm",
    "Block",
    "Conv",
    "Dropout",
    "Flatten",
    "GlobalAvgPool",
    "Group",
    "Layer",
    "LayerShape",
    "Linear",
    "MaxPool",
    "Network",
    "Node",
    "NotationError",
    "Rbf",
    "Repeat",
    "Residual",
    "Shape",
    "Subsample",
    "SumShape",
    "Table",
    "Tree",
    "View",
    "Way",
    "Window",
    "check_shape",
    "field_text",
    "parse",
    "parse_shape",
    "shape_text",
    "why",
]
