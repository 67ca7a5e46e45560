"""scikit-learn's digits: 1,797 handwritten digits of 8x8 pixels, the test set of the UCI digits."""

from __future__ import annotations

import numpy as np

from neocog.data.source import Source, array_source

_TEST_SHARE = 0.2
_TEST_SEED = 0


def digits_source(name: str, classes: tuple[str, ...]) -> Source:
    """1,437 training and 360 test images, 1x8x8, grayscale.

    The published values v, whole numbers from 0 to 16, become round(v * 255 / 16), halves upwards. As the set
    has no test part of its own, a fifth is set aside: `train_test_split` with test_size 0.2, stratified,
    random_state 0.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    published = load_digits()
    values = published.images.astype(np.int64)
    images = ((values * 255 + 8) // 16).astype(np.uint8)
    labels = published.target.astype(np.int64)
    train, test = train_test_split(
        np.arange(len(labels)), test_size=_TEST_SHARE, stratify=labels, random_state=_TEST_SEED
    )
    return array_source(name, classes, {"train": (images[train], labels[train]), "test": (images[test], labels[test])})
