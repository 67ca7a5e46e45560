"""The benchmark of decoding runs with tiny settings and writes the figures it promises; never a time."""

from __future__ import annotations

from pathlib import Path

from tests.test_benchmarks import figures


def test_decoding_gives_rates_of_both_epochs_and_the_distance_of_the_pixels(tmp_path: Path) -> None:
    found, printed = figures("decoding", tmp_path)
    (result,) = found["results"]
    assert (result["photographs"], result["count"]) == ("960x720", 3)
    lines = result["contenders"]
    assert list(lines) == ["Pillow loop", "DataLoader", "DataLoader, 2 workers", "neocog"]
    for name, line in lines.items():
        assert name in printed
        assert len(line["first_seconds"]) == len(line["later_seconds"]) == 1
        for key in ("first_images_per_second", "later_images_per_second", "first_images_per_second_per_core"):
            assert line[key] > 0
    assert result["quality"]["psnr_least"] > 40 and result["quality"]["largest_error"] <= 20
