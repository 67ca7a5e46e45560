"""Every mistake ends in one readable error and exit code 2: golden/bad_input.txt holds them all.

Write that file anew after a change of the messages, and read the difference:

    NEOCOG_WRITE_GOLDEN=1 pytest tests/test_bad_input.py
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from pathlib import Path

import pytest
from tests.bad_input_world import RECIPES, TABLES, make_weights, make_world

from neocog import cli

BY_THEMSELVES = ("names-code", "no-network", "no-images")
GOLDEN = Path(__file__).parent / "golden" / "bad_input.txt"
WRITES = bool(os.environ.get("NEOCOG_WRITE_GOLDEN"))

# Heading, then command lines as one types them behind `neocog`.
TABLE: dict[str, list[str]] = {
    "command lines": [
        "trian digits",
        "--verbose",
        "train",
        "train digits --epoch 3",
        "train digits --epochs",
        "train digits --epochs three",
        "train digits --lr fast",
        "train digits --model conv 6 5x5",
        "train digits --set epochs=3",
        "train digits --set train.epochs",
        "train digits --set train.epoch=3",
        "train digits --set optimizer.name=sgd",
        "train digits --epochs 0",
        "train digits --batch-size 0",
        "train digits --lr -1",
        "train digits --lr nan",
        "train digits --seed -1",
        "train digits --patience 0",
        "train digits --device gpu",
        "train digits --device cuda:99",
        "train digits --out trap.py",
        "train digits --out pets",
        "train digits --out trap.py/run",
        "train digits --recipe nowhere.toml",
        "train digits --recipe mnsit",
        "predict",
        "predict good",
        "predict good pets --top many",
        "predict good pets --top 0",
        "predict good pets --min-confidence 2",
        "predict good pets --min-confidence high",
        "predict good pets --format xml",
        "evaluate good --format csv",
        "summary",
        "summary lenet5 --input 28x28x1",
        "summary lenet5 --input 28",
        "summary lenet5 --input big",
        "summary lenet5 --classes 0",
        "summary lenet5 --classes ten",
        "summary lenet5 --why conv3",
        "summary resnet18 --why layer5",
        "summary runs/nowhere",
        "summary nowhere.safetensors",
        "summary 'conv 1 3x3 groups 2' --input 3x8x8",
        "conv",
        "conv --input 1x28x28",
        "conv --input 28x28 --kernel 3",
        "conv --input 28x28x1 --kernel 3",
        "conv --input 1x5x5 --kernel 9",
        "conv --input 1x5x5 --kernel 3x3x3",
        "conv --input 1x5x5 --kernel 3 --padding some",
        "conv --input 1x5x5 --kernel 3 --padding same --stride 2",
        "conv --input 3x8x8 --kernel 3 --filters 10 --groups 3",
        "conv --input 3x32x32 --kernel 3 --groups 2",
        "conv --input 3x8x8 --kernel 5×5",
        "conv --input 1x5x5 --kernel 3 --stride 0",
        "conv --input 1x5x5 --kernel 3 --steps 0",
        "conv --input 9x1000x1000 --kernel 999 --show",
        "pool --input 1x4x4 --kernel 2 --padding same",
        "pool --input 1x4x4 --kernel 2 --padding 2",
        "pool --input 1x4x4 --kernel 2 --kind mean",
        "pool --input 1x1x1 --kernel 2",
        "models resnet19",
        "recipes mnsit",
        "runs nowhere extra",
    ],
    "recipes": [
        *(f"train pets --recipe {name}.toml" for name in RECIPES if name not in BY_THEMSELVES),
        "train --recipe names-code.toml",
        "train --recipe no-network.toml --set model.network=",
        "train --recipe no-images.toml",
        "train pets --recipe latin1.toml",
        "train pets --recipe empty",
    ],
    "networks": [
        "summary resnet19",
        "summary ' '",
        "summary 'conv 6 5x5 | relu | flaten' --input 1x28x28",
        "summary 'conv 6 5x5 | linear 10' --input 1x28x28",
        "summary 'conv 6 5x5 | relu' ",
        "summary 'conv 6 9x9 | flatten | linear 10' --input 1x8x8",
        "summary 'flatten | linear classes' --input 1x8x8",
        "summary vgg16 --input 3x16x16",
        "summary 'nn.Conv2d(1, 6, 5)' --input 1x28x28",
        "summary nets.py --input 1x8x8",
        "summary nets.py:build --input 1x8x8",
        "summary nowhere:build --input 1x8x8",
        "summary broken:build --input 1x8x8",
        "summary nets:biuld --input 1x8x8 --classes 2",
        "summary nets:number --input 1x8x8 --classes 2",
        "summary nets:fails --input 1x8x8 --classes 2",
        "summary nets:gives_text --input 1x8x8 --classes 2",
        "summary nets:needs_more --input 1x8x8 --classes 2",
        "train pets --model 'flatten | linear 10'",
        "train pets --model 'conv 8 9x9 | flatten | linear classes'",
        "train pets --model 'maxpool 2'",
        "train pets --model 'flatten | relu'",
    ],
    "data sets, folders, tables and IDX files": [
        "train minst",
        "train kmnist",
        "train nowhere/at/all",
        "train ''",
        "train trap.py",
        "train pictures/good.png",
        *(f"train {folder}" for folder in (
            "empty", "flat", "single", "nested", "no-train", "both-val", "misspelt", "capitals", "no-pictures",
            "not-pictures", "too-few", "one-bad --strict",
        )),
        "train pets --set data.validation=1",
        "train pets --set data.validation=23",
        "train pets --set data.validation=test",
        "train pets --set data.groups=breed",
        "train pets --set 'data.groups=[a'",
        "train digits --set data.groups=x",
        "train pets --set data.image_size=9000",
        *(f"train {name}" for name in [*TABLES, "latin1.csv"]),
        *(f"train idx-{kind}" for kind in ("alone", "cut", "floats", "uneven", "swapped", "gzip")),
        "evaluate good digits",
        "evaluate good birds",
        "evaluate good nowhere",
        "evaluate good --mistakes wrong.jpg",
        "evaluate good --mistakes nowhere/wrong.png",
        "evaluate good --out report.pdf",
        "evaluate good --report --out nowhere/report.html",
        "evaluate nowhere --calibrate",
        "evaluate nowhere --uncalibrate",
        "evaluate elsewhere.safetensors",
        "evaluate elsewhere.safetensors --calibrate",
        "evaluate sourceless.safetensors",
        "evaluate sourceless.safetensors --calibrate",
        "compare",
        "compare good",
        "compare good good",
        "compare good nowhere",
        "compare good hen-and-owl.safetensors",
        "compare good elsewhere.safetensors",
        "compare good elsewhere.safetensors --on nowhere",
        "compare good elsewhere.safetensors --on birds",
        "compare good elsewhere.safetensors --out differ.pdf",
        "compare good elsewhere.safetensors --format csv",
    ],
    "explaining": [
        "explain",
        "explain good",
        "explain nowhere pets/cat/0.png",
        "explain good nothing.png",
        "explain good trap.py",
        "explain good pets/cat/0.png --layer conv9",
        "explain good pets/cat/0.png --layer linear1 --at 99",
        "explain good pets/cat/0.png --layer linear1 --at 1,2",
        "explain good pets/cat/0.png --at '3;4'",
        "explain good pets/cat/0.png --channel two",
        "explain good pets/cat/0.png --channel 99",
        "explain good pets/cat/0.png --label horse",
        "explain good pets/cat/0.png --method lime",
        "explain good pets/cat/0.png --method gradcam",
        "explain good pets/cat/0.png --out why.jpg",
        "explain good pets/cat/0.png pets/dog/0.png --out why.png",
    ],
    "pictures": [
        "predict good nowhere.png",
        "predict good 'nowhere/*.png'",
        "predict good empty",
        "predict good pictures/empty.png",
        "predict good pictures/text.png",
        "predict good pictures/truncated.png",
        "predict good pictures/truncated.jpg",
        "predict good pictures/bomb.png",
        "predict good pictures/page.svg",
        "predict good nets.py",
        f"predict good {'x' * 300}.png",
        "predict good -",
    ],
    "weights": [
        "predict nowhere pets",
        "predict nowhere.safetensors pets",
        "predict empty pets",
        *(f"predict {name} pets" for name in (
            "cut.safetensors", "cut-header.safetensors", "empty.safetensors", "text.safetensors",
            "pointer.safetensors", "page.pth", "model.h5", "code.pth", "old-code.pth", "cut.pth", "list.pth",
            "plain.pth", "plain.safetensors", "newer.safetensors", "no-classes.safetensors",
            "three-classes.safetensors", "other-network.safetensors", "unreadable-network.safetensors",
            "unknown-network.safetensors", "needs-code.safetensors", "lacks-a-tensor.safetensors",
            "not-json.safetensors",
        )),
        "predict good pets --model mlp",
        "predict needs-code.safetensors pets --model nowhere:build",
    ],
    "runs": [
        "resume nowhere",
        "resume pets",
        "resume trap.py",
        "resume run-cut",
        "resume run-other-file",
        "resume run-metrics",
        "resume run-recipe",
        "resume run-other-data",
        "resume run-gone-data",
        "resume run-code",
        "resume run-other-network",
        "evaluate run-metrics nowhere",
        "predict run-no-weights pets",
    ],
    "photographs, audit, advice and augmentation": [
        "train pets --minutes 2",
        "train pets --minutes 0",
        "train pets --minutes soon",
        "train pets --model mlp --pretrained imagenet",
        "train pets --model mlp --pretrained imagenett",
        "train pets --model mlp --pretrained nowhere.pth",
        "train pets --model resnet18 --pretrained pets",
        'train pets --model "conv 8 3x3 | relu | globalavgpool | linear classes" --pretrained imagenet',
        'train pets --model "resnet18[:layer9]"',
        'train pets --model "resnet9[:layer1]"',
        'train pets --model "efficientnet-lite0[:blocks.3.bn1]" --pretrained imagenet',
        "train pets --model mlp --skip-list no-such-list.txt",
        "train pets --model mlp --skip-list skip-none.txt",
        "train pets --model mlp --skip-list skip-cells.csv",
        "train digits --model mlp --skip-list skip-none.txt",
        "audit",
        "audit nothing/there",
        "audit digits --out audit.txt",
        "audit digits --include-label-errors",
        "audit digits --quick --include-label-errors --write-list a.csv",
        "audit digits --quick --write-list a.csv",
        "audit digits --quick --groups x",
        "audit digits --format xml",
        "advise",
        "advise nowhere",
        "advise pets --minutes 0",
        "advise pets --minutes soon",
        "advise pets --write-recipe advised.txt",
        "advise pets --format yaml",
        "augment",
        "augment gone.jpg",
        "augment nowhere",
        "augment pictures/text.png",
        "augment pictures/good.png --policy rotat",
        "augment pictures/good.png --policy mixup",
        "augment pictures/good.png --policy grayscale",
        "augment pictures/good.png --policy blur --recipe default",
        "augment pictures/good.png --set train.epochs=3",
        "augment pictures/good.png --set augment.rotte=3",
        "augment pictures/good.png --out kinds.png",
        "augment pictures/good.png --policy blur --out blur.jpg",
        "augment pictures/good.png --policy blur --out nowhere/blur.png",
        "augment pictures/good.png --seed -1",
        "augment pictures/good.png --copies 3",
        "augment pictures/good.png --save copies",
        "augment pets --policy blur --save birds",
        "augment pets --policy blur --save copies --copies 0",
        "augment pets --policy cutmix --save copies",
        "evaluate good --flips --calibrate",
    ],
}  # fmt: skip
LINES = [line for lines in TABLE.values() for line in lines]


def attempt(line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    """Type a command line in this interpreter; give the exit code and what came on standard error."""
    monkeypatch.setattr(sys, "argv", ["neocog", *shlex.split(line)])
    capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        cli.main()
    return int(left.value.code or 0), capsys.readouterr().err


def plain(text: str, root: Path) -> str:
    """Take out what differs from machine to machine and from one version of a dependency to the next."""
    text = text.replace(str(root), "WORLD")
    text = re.sub(r"PyTorch \d[\w.+]*", "PyTorch VERSION", text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("world")
    make_world(root)
    from neocog import train

    train(
        root / "pets", model="flatten | linear classes", out=root / "good", progress=False, epochs=1, image_size=8,
        recipe="default", **{"augment.rotate": 0.0, "data.channels": 1},
    )  # fmt: skip
    make_weights(root)
    return root


def golden() -> dict[str, str]:
    entries = re.split(r"^\$ neocog ?", GOLDEN.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    found = {}
    for entry in entries:
        line, _, message = entry.partition("\n")
        found[line] = re.split(r"\n\n(?:# |\Z)", f"{message}\n\n")[0].strip()
    return found


@pytest.fixture(scope="module")
def answers(world: Path) -> dict[str, str]:
    """What each command line of the table ended in, by `test_a_mistake_gets_its_error`."""
    return {}


@pytest.mark.parametrize("line", LINES)
def test_a_mistake_gets_its_error(
    line: str,
    world: Path,
    answers: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(world)
    monkeypatch.setattr(sys, "stdin", open(os.devnull))  # noqa: SIM115, PTH123
    code, told = attempt(line, capsys, monkeypatch)
    answers[line] = plain(told, world)
    assert code == 2, told
    assert "Traceback" not in told
    assert not re.search(r"\.\.(?!\.)(?<!\.\.\.)|\?\.|\.;", told.replace("…", "")), "two marks in a row"
    if not WRITES:
        assert answers[line] == golden()[line]


def test_the_table_is_whole(answers: dict[str, str]) -> None:
    if WRITES:
        parts = [
            f"# {heading}\n\n" + "\n".join(f"$ neocog {line}\n{answers[line]}\n" for line in lines)
            for heading, lines in TABLE.items()
        ]
        GOLDEN.write_text("\n".join(parts), encoding="utf-8")
    assert list(golden()) == LINES
    assert len(LINES) >= 70
    assert len(set(LINES)) == len(LINES)
