from __future__ import annotations

import re

import pytest

from aims_mlflow.report import template_root, words

CSS = (template_root() / "partials" / "style.css.j2").read_text(encoding="utf-8")
BLOCKS = [dict(re.findall(r"--([a-z-]+):(#[0-9a-f]{6})", block)) for block in re.findall(r":root\{([^}]*)\}", CSS)]
SCHEMES = dict(zip(("light", "dark", "print"), BLOCKS, strict=True))
BADGES = ("ok", "bad", "err", "unc", "old", "none", "ask", "na")


def luminance(colour: str) -> float:
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_contrast_formula_gives_the_known_ends():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#00563f", "#ffffff") == pytest.approx(8.7, abs=0.1)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("badge", BADGES)
def test_every_badge_can_be_read(scheme, badge):
    colours = SCHEMES[scheme]
    assert contrast(colours[badge], colours[f"{badge}-bg"]) >= 4.5


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("text", ["ink", "soft", "head"])
@pytest.mark.parametrize("ground", ["bg", "panel"])
def test_running_text_can_be_read(scheme, text, ground):
    assert contrast(SCHEMES[scheme][text], SCHEMES[scheme][ground]) >= 4.5


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("mark", ["bar-ok", "bar-bad", "bar-unc", "bar-na", "bar-err", "limit", "ink"])
def test_every_part_of_a_chart_stands_out_from_the_ground(scheme, mark):
    assert contrast(SCHEMES[scheme][mark], SCHEMES[scheme]["bg"]) >= 3


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("badge", ["ok", "old", "none", "ask"])
def test_the_border_of_a_light_badge_stands_out_from_the_ground(scheme, badge):
    assert contrast(SCHEMES[scheme][f"{badge}-line"], SCHEMES[scheme]["bg"]) >= 3


def test_all_schemes_name_the_same_colours_and_print_is_the_light_one():
    assert SCHEMES["light"].keys() == SCHEMES["dark"].keys()
    assert SCHEMES["print"] == SCHEMES["light"]
    assert set(re.findall(r"var\(--([a-z-]+)\)", CSS)) <= SCHEMES["light"].keys()


def test_no_two_badges_share_fill_and_border():
    looks = {}
    for badge in BADGES:
        rule = re.search(rf"\.b\.{badge}\{{([^}}]*)\}}", CSS)[1]
        dark = contrast(SCHEMES["light"][f"{badge}-bg"], "#ffffff") > 3
        looks[badge] = (dark, re.findall(r"solid solid solid double|dashed|dotted|double", rule) or ["solid"])
    assert looks["bad"] != looks["err"] and looks["ok"] != looks["none"] != looks["old"]
    assert {label.look for label in words.STATUS.values()} == set(BADGES)


def test_print_shows_closed_evidence_too():
    paper = CSS[CSS.index("@media print") :]
    assert "details::details-content{content-visibility:visible" in paper
    assert "print-color-adjust:exact" in paper
