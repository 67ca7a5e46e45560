"""The words and numbers of the tables, in English and Korean."""

from __future__ import annotations

from typing import Literal

from neocog.reproduction.figures import FIGURES, Unit
from neocog.reproduction.published import Claim
from neocog.reproduction.verdict import Sample, Verdict

Language = Literal["en", "ko"]

HEADS: dict[Language, dict[str, str]] = {
    "en": {
        "recipe": "recipe", "figure": "figure", "published": "published", "ours": "ours", "range": "range",
        "seeds": "seeds", "parameters": "parameters", "epochs": "epochs", "seconds": "seconds", "verdict": "verdict",
    },
    "ko": {
        "recipe": "레시피", "figure": "값", "published": "공개된 값", "ours": "neocog", "range": "범위",
        "seeds": "시드 수", "parameters": "파라미터", "epochs": "에포크", "seconds": "초", "verdict": "판정",
    },
}  # fmt: skip

_VERDICTS: dict[Language, dict[str, str]] = {
    "en": {
        "reached": "reached", "within the spread": "within the spread, short by {short}", "missed": "missed by {short}",
        "equal": "equal", "different": "differs by {short}", "none": "for comparison",
    },
    "ko": {
        "reached": "도달", "within the spread": "편차 이내, {short} 부족", "missed": "{short} 미달",
        "equal": "같음", "different": "{short} 다름", "none": "비교용",
    },
}  # fmt: skip
_POINTS: dict[Language, str] = {"en": "points", "ko": "%p"}
_NO_FIGURE: dict[Language, str] = {"en": "none", "ko": "없음"}
_GOAL: dict[Language, str] = {"en": "goal: {text}", "ko": "목표: {text}"}
_FEWER_SEEDS: dict[Language, str] = {"en": " ({there} of {asked} seeds)", "ko": " (시드 {asked}개 중 {there}개)"}
_RELATIONS: dict[Language, dict[str, str]] = {
    "en": {
        "": "{text}", "about": "about {text}", "at least": "at least {text}", "at most": "at most {text}",
        "fewer than": "fewer than {text}",
    },
    "ko": {
        "": "{text}", "about": "약 {text}", "at least": "{text} 이상", "at most": "{text} 이하",
        "fewer than": "{text} 미만",
    },
}  # fmt: skip


def label(claim: Claim, language: Language = "en") -> str:
    """Give the name of a claim's figure."""
    figure = FIGURES[claim.figure]
    return figure.label if language == "en" else figure.korean


def published_text(claim: Claim, *, goal: bool, language: Language = "en") -> str:
    """Write what was published, such as "about 98 %" or "goal: at least 99.6 %"."""
    if claim.number is None:
        return _NO_FIGURE[language]
    unit = FIGURES[claim.figure].unit
    # "about 98 %" is not "about 98.00 %"; without such a word the source gave four digits.
    rough = claim.relation and unit in ("percent", "rise")
    written = f"{100 * claim.number:.4g} %" if rough else number_text(claim.number, unit)
    text = _RELATIONS[language][claim.relation].format(text=written)
    return _GOAL[language].format(text=text) if goal else text


def ours_text(claim: Claim, sample: Sample) -> str:
    """Write the mean and, for several seeds, the spread, such as "98.91 % ± 0.08"."""
    unit = FIGURES[claim.figure].unit
    mean = number_text(sample.mean, unit)
    # what is the same whatever the seed, such as a number of parameters, has no spread to speak of
    return f"{mean} ± {_bare(sample.spread, unit)}" if sample.spread else mean


def range_text(claim: Claim, sample: Sample) -> str:
    """Write the smallest and the largest value, such as "98.82 to 98.99"; empty where they are the same."""
    unit = FIGURES[claim.figure].unit
    return f"{_bare(sample.low, unit)} to {_bare(sample.high, unit)}" if sample.low < sample.high else ""


def verdict_text(claim: Claim, verdict: Verdict, *, seeds: int, asked: int, language: Language = "en") -> str:
    """Write a verdict, with how many of the seeds that the claim asks for are there where some are missing."""
    if claim.number is None:
        return ""
    short = _difference(verdict.short, FIGURES[claim.figure].unit, language)
    text = _VERDICTS[language][verdict.outcome].format(short=short)
    return text + (_FEWER_SEEDS[language].format(there=seeds, asked=asked) if seeds < asked else "")


def number_text(value: float, unit: Unit) -> str:
    """Write a figure in its unit: 98.91 %, 0.0324, 61,706."""
    return _bare(value, unit) + (" %" if unit in ("percent", "rise") else "")


def _bare(value: float, unit: Unit) -> str:
    match unit:
        case "percent":
            return f"{100 * value:.2f}"
        case "rise":
            return f"{100 * value:.0f}"
        case "loss":
            return f"{value:.4f}"
        case "count":
            return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"


def _difference(value: float, unit: Unit, language: Language) -> str:
    if unit in ("percent", "rise"):
        # Between two percentages lie percentage points.
        text = _bare(value, unit)
        return f"{text if _is_something(text) else f'{100 * value:.1g}'} {_POINTS[language]}"
    text = _bare(value, unit)
    return text if _is_something(text) else f"{value:.1g}"


def _is_something(text: str) -> bool:
    """Say whether a number does not read as none: a difference that is there must not be written so."""
    return any(digit in "123456789" for digit in text)
