"""The networks that have a name. Importing this needs no torch."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from neocog.errors import ModelError

_COURSE = "course on CNNs (study notes and lectures)"
_RESNET = 'He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016'
_EFFICIENTNET = (
    'Tan, Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019; '
    "Lite variant of 2020"
)
_VGG = 'Simonyan, Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015'
_BATCH_NORM = (
    'Ioffe, Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate '
    'Shift", ICML 2015'
)

# The input maps of C3's maps 0 to 15.
_LENET5_TABLE = (
    "0+1+2 1+2+3 2+3+4 3+4+5 0+4+5 0+1+5 "
    "0+1+2+3 1+2+3+4 2+3+4+5 0+3+4+5 0+1+4+5 0+1+2+5 "
    "0+1+3+4 1+2+4+5 0+2+3+5 0+1+2+3+4+5"
)


@dataclass(frozen=True)
class Entry:
    """A named network.

    `input_shape` (C, H, W) and `num_classes` are those it is usually meant for; `parameters` is its number of
    parameters there. `notation` is its text where the network is written in the notation, else None: then it
    is a torch module with the parameter names of its published weights. `minimum_size` is the smallest height
    and width of an image, in pixels, that passes through it. `cut`, where given, is the layer after which the network
    ends, with a new head behind it; the parameters are those of the whole.
    """

    name: str
    description: str
    parameters: int
    source: str
    notation: str | None = None
    input_shape: tuple[int, int, int] = (1, 28, 28)
    num_classes: int = 10
    minimum_size: int = 1
    cut: str | None = None


def names() -> tuple[str, ...]:
    """Give the names of all networks, in the order in which they are listed."""
    return tuple(entry.name for entry in _ENTRIES)


def entries() -> tuple[Entry, ...]:
    """Give all networks in the order of `names()`."""
    return _ENTRIES


def find(name: str) -> Entry:
    """Give the network called `name`; raises `ModelError` with the nearest names where there is none."""
    for entry in _ENTRIES:
        if entry.name == name:
            return entry
    raise ModelError(unknown(name))


def unknown(name: str) -> str:
    """Say that no network is called `name`, and which names are near."""
    simple = {_simplified(known): known for known in names()}
    near = difflib.get_close_matches(_simplified(name), simple, n=3, cutoff=0.6)
    if near:
        advice = "Did you mean " + " or ".join(simple[key] for key in near) + "?"
    else:
        advice = "There are " + ", ".join(names()) + "."
    return (
        f"no network is called {name!r}. {advice} A network can also be written in the notation, such as "
        "'flatten | linear classes', or given as a Python path, such as mypackage.nets:build."
    )


def _simplified(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def _vgg(depth: int, plain: int, normalised: int, megabytes: tuple[int, int]) -> tuple[Entry, Entry]:
    return (
        Entry(
            name=f"vgg{depth}",
            description=f"VGG with {depth} layers of weights; pretrained on ImageNet, {megabytes[0]} MB",
            parameters=plain,
            source=_VGG,
            input_shape=(3, 224, 224),
            num_classes=1000,
            minimum_size=32,
        ),
        Entry(
            name=f"vgg{depth}-bn",
            description=f"VGG with {depth} layers of weights, each convolution batch-normalised; "
            f"pretrained on ImageNet, {megabytes[1]} MB",
            parameters=normalised,
            source=f"{_VGG}; {_BATCH_NORM}",
            input_shape=(3, 224, 224),
            num_classes=1000,
            minimum_size=32,
        ),
    )


def _resnet(depth: int, parameters: int, blocks: str, megabytes: int) -> Entry:
    return Entry(
        name=f"resnet{depth}",
        description=f"residual network with {depth} layers of weights, in {blocks} blocks; "
        f"pretrained on ImageNet, {megabytes} MB",
        parameters=parameters,
        source=_RESNET,
        input_shape=(3, 224, 224),
        num_classes=1000,
    )


_ENTRIES: tuple[Entry, ...] = (
    Entry(
        name="small-cnn",
        description="four batch-normalised convolutions and a global average, for images from 8x8 up",
        parameters=98_970,
        source=f'{_BATCH_NORM}; Lin, Chen, Yan, "Network In Network", ICLR 2014 (global average pooling)',
        notation="""
            conv 16 3x3 same nobias | batchnorm | relu | maxpool 2
            conv 32 3x3 same nobias | batchnorm | relu | maxpool 2
            conv 64 3x3 same nobias | batchnorm | relu | maxpool 2
            conv 128 3x3 same nobias | batchnorm | relu | globalavgpool
            linear classes
        """,
        input_shape=(3, 64, 64),
        minimum_size=8,
    ),
    Entry(
        name="mlp",
        description="fully connected, no convolution: it sees positions, not shapes",
        parameters=203_530,
        source=_COURSE,
        notation="flatten | linear 256 | relu | linear classes",
    ),
    Entry(
        name="lenet5",
        description="LeNet-5 in its modern form: ReLU, max pooling, plain linear output",
        parameters=61_706,
        source='LeCun, Bottou, Bengio, Haffner, "Gradient-Based Learning Applied to Document Recognition", '
        "Proceedings of the IEEE, 1998; modern form",
        notation="""
            conv 6 5x5 pad 2 | relu | maxpool 2
            conv 16 5x5 | relu | maxpool 2
            flatten | linear 120 | relu | linear 84 | relu | linear classes
        """,
        minimum_size=12,
    ),
    Entry(
        name="lenet5-1998",
        description="LeNet-5 as published: connection table, trained subsampling, scaled tanh, RBF output for digits",
        parameters=60_000,
        source='LeCun, Bottou, Bengio, Haffner, "Gradient-Based Learning Applied to Document Recognition", '
        "Proceedings of the IEEE, 1998, section II-B and table I",
        notation=f"""
            conv 6 5x5 | scaledtanh | subsample 2 | scaledtanh
            conv 16 5x5 table {_LENET5_TABLE} | scaledtanh | subsample 2 | scaledtanh
            conv 120 5x5 | scaledtanh | flatten | linear 84 | scaledtanh | rbf classes digits
        """,
        input_shape=(1, 32, 32),
        minimum_size=32,
    ),
    Entry(
        name="week4",
        description="two convolutions and three linear layers without an activation between them",
        parameters=3_363_594,
        source=_COURSE,
        notation="""
            conv 32 3x3 same | relu | maxpool 2
            conv 64 3x3 same | relu | maxpool 2
            flatten | linear 1024 | linear 128 | linear classes
        """,
        minimum_size=4,
    ),
    Entry(
        name="bootcamp-cnn",
        description="two convolutions with max pooling, one linear layer",
        parameters=50_186,
        source=_COURSE,
        notation="""
            conv 32 3x3 same | relu | maxpool 2
            conv 64 3x3 same | relu | maxpool 2
            flatten | linear classes
        """,
        minimum_size=4,
    ),
    Entry(
        name="bootcamp-cnn-stride",
        description="bootcamp-cnn with strided convolutions in place of the pooling",
        parameters=50_186,
        source=_COURSE,
        notation="""
            conv 32 3x3 stride 2 pad 1 | relu
            conv 64 3x3 stride 2 pad 1 | relu
            flatten | linear classes
        """,
    ),
    Entry(
        name="bootcamp-cnn2",
        description="three convolutions with max pooling, a hidden linear layer with dropout",
        parameters=1_379_557,
        source=_COURSE,
        notation="""
            conv 32 3x3 same | relu | maxpool 2
            conv 64 3x3 same | relu | maxpool 2
            conv 128 3x3 same | relu | maxpool 2 pad 1
            flatten | linear 625 | relu | dropout 0.2 | linear classes
        """,
        minimum_size=4,
    ),
    Entry(
        name="fashion-cnn",
        description="one convolution with max pooling, one hidden linear layer",
        parameters=197_210,
        source=_COURSE,
        notation="""
            conv 10 3x3 same | relu | maxpool 2
            flatten | linear 100 | relu | linear classes
        """,
        minimum_size=2,
    ),
    Entry(
        name="fashion-cnn-dropout",
        description="fashion-cnn with dropout before its hidden linear layer",
        parameters=197_210,
        source=_COURSE,
        notation="""
            conv 10 3x3 same | relu | maxpool 2
            flatten | dropout 0.5 | linear 100 | relu | linear classes
        """,
        minimum_size=2,
    ),
    Entry(
        name="efficientnet-lite0",
        description="inverted bottlenecks with depthwise convolutions: the network to begin with for photographs; "
        "pretrained on ImageNet, 19 MB",
        parameters=4_652_008,
        source=_EFFICIENTNET,
        input_shape=(3, 224, 224),
        num_classes=1000,
        minimum_size=32,
    ),
    _resnet(18, 11_689_512, "basic", 47),
    _resnet(34, 21_797_672, "basic", 87),
    _resnet(50, 25_557_032, "bottleneck", 103),
    *_vgg(11, 132_863_336, 132_868_840, (531, 532)),
    *_vgg(13, 133_047_848, 133_053_736, (532, 532)),
    *_vgg(16, 138_357_544, 138_365_992, (553, 554)),
    *_vgg(19, 143_667_240, 143_678_248, (575, 575)),
)
