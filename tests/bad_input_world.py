"""A folder with one of everything that can go wrong, for test_bad_input.py."""

from __future__ import annotations

import gzip
import json
import pickle
import struct
import tomllib
from pathlib import Path

import numpy as np
import tomli_w
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

RECIPES = {
    "not-toml": "[train\nepochs = 3",
    "unknown-table": "[training]\nepochs = 3",
    "unknown-key": "[train]\nepoch = 3",
    "key-of-another-table": "[train]\nimage_size = 32",
    "key-without-table": "epochs = 3",
    "table-is-a-number": "train = 3",
    "words-for-number": '[train]\nepochs = "three"',
    "fraction-of-an-epoch": "[train]\nepochs = 2.5",
    "no-epochs": "[train]\nepochs = 0",
    "negative-rate": "[train]\nlr = -0.1",
    "infinite-rate": "[train]\nlr = inf",
    "unknown-optimizer": '[train]\noptimizer = "adm"',
    "momentum-of-adam": '[train]\noptimizer = "adam"\nmomentum = 0.9',
    "nesterov-alone": '[train]\noptimizer = "sgd"\nnesterov = true',
    "validation-above-one": "[data]\nvalidation = 1.5",
    "validation-word": '[data]\nvalidation = "half"',
    "two-channels": "[data]\nchannels = 2",
    "image-size-text": '[data]\nimage_size = "28x28"',
    "image-size-three": "[data]\nimage_size = [3, 28, 28]",
    "zero-deviation": "[data]\nstd = [0.0]",
    "two-means": "[data]\nmean = [0.1, 0.2]",
    "zoom-backwards": "[augment]\nzoom = [1.3, 0.7]",
    "zoom-number": "[augment]\nzoom = 1.3",
    "flip-above-one": "[augment]\nhorizontal_flip = 2",
    "unknown-policy": '[augment]\npolicy = "randaugmnt"',
    "several": "[train]\nepochs = 0\nlr = 0\n[data]\nsplit_seed = -1",
    "stage-seed": '[[stage]]\nname = "head"\n[stage.train]\nseed = 3',
    "stage-freezes-nothing-there": '[model]\nnetwork = "mlp"\n[[stage]]\nname = "head"\nfreeze = ["convolution*"]',
    "stage-without-name": '[[stage]]\nfreeze = ["conv1"]',
    "class-weights": '[model]\nnetwork = "mlp"\n[train]\nclass_weights = [1.0, 2.0, 3.0]',
    "num-classes": '[model]\nnetwork = "mlp"\nnum_classes = 10',
    "names-code": '[data]\nsource = "pets"\n[model]\nnetwork = "trap:build"',
    "no-network": '[data]\nsource = "pets"',
    "solves-too-much": '[data]\nsource = "pets"\n[model]\nnetwork = "mlp"\n[train]\noptimizer = "logistic-regression"',
    "decay-of-muon": '[train]\noptimizer = "muon"\nlayer_lr_decay = 0.5',
    "mixes-penalties": '[train]\nloss = "map"\n[augment]\nmixup = 0.2',
    "no-images": '[model]\nnetwork = "mlp"',
}

TABLES = {
    "empty.csv": "",
    "no-header.csv": "pets/cat/0.png,cat\npets/dog/0.png,dog\n",
    "only-header.csv": "path,label\n",
    "no-label.csv": "path,label\npets/cat/0.png,\n",
    "three-values.csv": "path,label\npets/cat/0.png,cat,train\n",
    "bad-split.csv": "path,label,split\npets/cat/0.png,cat,holdout\n",
    "contradiction.csv": "path,label\npets/cat/0.png,cat\npets/cat/0.png,dog\n",
    "missing-files.csv": "path,label\nnowhere/1.png,cat\nnowhere/2.png,dog\n",
    "one-class.csv": "path,label\npets/cat/0.png,cat\npets/cat/1.png,cat\n",
}


def picture(path: Path, shade: int = 0, size: tuple[int, int] = (8, 8)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full(size, shade, np.uint8)).save(path)


def make_world(root: Path) -> None:
    """Fill `root`: recipes, tables, folders, IDX files, pictures, weights, and `good`, a finished run."""
    for name, text in RECIPES.items():
        (root / f"{name}.toml").write_text(text, encoding="utf-8")
    (root / "latin1.toml").write_bytes('description = "für alle"\n'.encode("latin-1"))
    for name, text in TABLES.items():
        (root / name).write_text(text, encoding="utf-8")
    (root / "latin1.csv").write_bytes("path,label\npets/cat/0.png,kätzchen\n".encode("latin-1"))
    (root / "skip-none.txt").write_text("cat/none.png\n")
    (root / "skip-cells.csv").write_text("path,reason\ncat/1.png\n")
    (root / "trap.py").write_text("raise SystemExit('the code of a file was run')\n")
    (root / "nets.py").write_text(
        "from torch import nn\n"
        "number = 3\n"
        "def fails(num_classes): raise RuntimeError('out of order')\n"
        "def gives_text(num_classes): return 'a network'\n"
        "def needs_more(num_classes, depth): return nn.Identity()\n"
        "def build(num_classes): return nn.Sequential(nn.Flatten(), nn.LazyLinear(num_classes))\n"
    )
    (root / "broken.py").write_text("import nothing_of_this_name\n")
    _folders(root)
    _pictures(root)
    _idx(root)


def _folders(root: Path) -> None:
    for index in range(12):
        picture(root / f"pets/cat/{index}.png", 10 * index)
        picture(root / f"pets/dog/{index}.png", 255 - 10 * index)
        picture(root / f"birds/hen/{index}.png", index)
        picture(root / f"birds/owl/{index}.png", 200 + index)
    picture(root / "flat/1.png")
    picture(root / "single/cat/1.png")
    picture(root / "nested/all/cat/1.png")
    picture(root / "nested/all/dog/1.png")
    picture(root / "no-train/test/cat/1.png")
    picture(root / "both-val/train/cat/1.png")
    for part in ("val", "valid"):
        picture(root / f"both-val/{part}/cat/1.png")
    for part, names in {"train": ("cat", "dog"), "val": ("cat", "dgo")}.items():
        for name in names:
            picture(root / f"misspelt/{part}/{name}/1.png")
    picture(root / "capitals/cat/1.png")
    picture(root / "capitals/Cat/1.png")
    for name in ("cat", "dog"):
        (root / "no-pictures" / name).mkdir(parents=True)
        (root / "not-pictures" / name).mkdir(parents=True)
        (root / "not-pictures" / name / "1.jpg").write_text("no picture")
        picture(root / f"too-few/{name}/1.png")
        picture(root / f"one-bad/{name}/1.png")
        picture(root / f"one-bad/{name}/2.png")
        (root / f"one-bad/{name}/3.png").write_bytes(b"")
    (root / "empty").mkdir()


def _pictures(root: Path) -> None:
    folder = root / "pictures"
    picture(folder / "good.png")
    data = (folder / "good.png").read_bytes()
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.png").write_text("no picture")
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    Image.fromarray(noise).save(folder / "truncated.png")
    (folder / "truncated.png").write_bytes((folder / "truncated.png").read_bytes()[:2000])
    Image.fromarray(noise).save(folder / "truncated.jpg")
    (folder / "truncated.jpg").write_bytes((folder / "truncated.jpg").read_bytes()[:1000])
    # a header that promises 60,000 x 60,000 pixels
    (folder / "bomb.png").write_bytes(data[:16] + struct.pack(">II", 60_000, 60_000) + data[24:])
    header = Image.new("1", (60_000, 60_000))
    header.save(folder / "bomb.png")
    (folder / "page.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")


def _idx(root: Path) -> None:
    def idx(name: str, array: np.ndarray, *, cut: int = 0, kind: int = 8, pack: bool = False) -> None:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = bytes([0, 0, kind, array.ndim]) + b"".join(struct.pack(">I", side) for side in array.shape)
        content += array.tobytes()
        content = content[: len(content) - cut]
        path.write_bytes(gzip.compress(content, mtime=0)[:-20] if pack else content)

    images, labels = np.zeros((4, 5, 5), np.uint8), np.array([0, 1, 0, 1], np.uint8)
    idx("idx-alone/train-images-idx3-ubyte", images)
    idx("idx-cut/train-images-idx3-ubyte", images, cut=7)
    idx("idx-cut/train-labels-idx1-ubyte", labels)
    idx("idx-floats/train-images-idx3-ubyte", images, kind=0x0D)
    idx("idx-floats/train-labels-idx1-ubyte", labels)
    idx("idx-uneven/train-images-idx3-ubyte", images)
    idx("idx-uneven/train-labels-idx1-ubyte", labels[:3])
    idx("idx-swapped/train-images-idx3-ubyte", labels)
    idx("idx-swapped/train-labels-idx1-ubyte", labels)
    idx("idx-gzip/train-images-idx3-ubyte.gz", images, pack=True)
    idx("idx-gzip/train-labels-idx1-ubyte", labels)


class Runs:
    """What stands in for `os.system` in a pickle: whoever loads it runs it."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise SystemExit('the code of a file was run')",)


def make_weights(root: Path) -> None:
    """Damage copies of the finished run `good`: its weights, its metadata, its checkpoint, its figures."""
    good = (root / "good" / "best.safetensors").read_bytes()
    (root / "cut.safetensors").write_bytes(good[: len(good) // 2])
    (root / "cut-header.safetensors").write_bytes(good[:100])
    (root / "empty.safetensors").write_bytes(b"")
    (root / "text.safetensors").write_text("these are no weights")
    (root / "pointer.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
    (root / "page.pth").write_text("<!DOCTYPE html><html>Not found</html>")
    (root / "model.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    torch.save({"weight": Runs()}, root / "code.pth")
    (root / "old-code.pth").write_bytes(pickle.dumps(Runs()))
    torch.save({"linear.weight": torch.zeros(2, 3)}, root / "plain.pth")
    (root / "cut.pth").write_bytes((root / "plain.pth").read_bytes()[:300])
    torch.save([1, 2, 3], root / "list.pth")
    save_file({"linear.weight": torch.zeros(2, 3)}, str(root / "plain.safetensors"))

    with safe_open(str(root / "good" / "best.safetensors"), "pt") as file:
        metadata = json.loads(file.metadata()["neocog"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118

    def changed(name: str, weights: dict[str, torch.Tensor] | None = None, **values: object) -> None:
        kept = {key: value for key, value in (metadata | values).items() if value is not None}
        save_file(weights or tensors, str(root / f"{name}.safetensors"), {"neocog": json.dumps(kept)})

    changed("newer", format=99, version="9.0")
    changed("no-classes", classes=None)
    changed("three-classes", classes=["cat", "cow", "dog"])
    changed("hen-and-owl", classes=["hen", "owl"])
    recipe = tomllib.loads(metadata["recipe"])
    for name, source in (("elsewhere", "birds"), ("sourceless", "")):
        changed(name, recipe=tomli_w.dumps(recipe | {"data": recipe["data"] | {"source": source}}))
    changed("other-network", network="flatten | linear 7 | linear classes")
    changed("unreadable-network", network="flaten | linear classes")
    changed("unknown-network", kind="name", network="resnet19")
    changed("needs-code", kind="python", network="trap:build")
    changed("lacks-a-tensor", dict(list(tensors.items())[1:]))
    save_file(tensors, str(root / "not-json.safetensors"), {"neocog": "{"})

    def copy_of_run(name: str, **files: bytes | None) -> None:
        folder = root / name
        folder.mkdir()
        for file in (root / "good").iterdir():
            if file.suffix in (".toml", ".csv", ".json", ".safetensors"):
                (folder / file.name).write_bytes(file.read_bytes())
        for part, content in files.items():
            file = next(file for file in folder.iterdir() if file.stem == part)
            file.unlink()
            if content is not None:
                file.write_bytes(content)

    last = (root / "good" / "last.safetensors").read_bytes()
    recipe = (root / "good" / "recipe.toml").read_bytes()
    copy_of_run("run-cut", metrics=None, last=last[: len(last) // 3])
    copy_of_run("run-other-file", metrics=None, last=good)
    copy_of_run("run-metrics", metrics=b"{")
    copy_of_run("run-history", history=b"stage,epoch,train_loss\ntrain,one,0.5\n")
    copy_of_run("run-no-weights", metrics=None, best=None)
    copy_of_run("run-recipe", metrics=None, recipe=b"[train]\nepochs = 0\n")
    copy_of_run("run-other-data", metrics=None, recipe=recipe.replace(b"/pets", b"/birds"))
    copy_of_run("run-gone-data", metrics=None, recipe=recipe.replace(b"/pets", b"/gone"))
    copy_of_run("run-code", metrics=None, recipe=recipe.replace(b'"flatten | linear classes"', b'"trap:build"'))
    copy_of_run(
        "run-other-network", metrics=None, recipe=recipe.replace(b"| linear classes", b"| linear 5 | linear classes")
    )
