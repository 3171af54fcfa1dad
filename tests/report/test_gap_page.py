"""The page of the gap: every row is there, nothing is told by colour alone, nothing of the user's becomes markup."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from aims_mlflow.assessment import Status
from aims_mlflow.catalog import load_catalog
from aims_mlflow.config.sections import RiskClass
from aims_mlflow.management.gap import assess_gap, trend_of
from aims_mlflow.management.portfolio import Portfolio, RowStanding, ServedVersion, SystemStanding
from aims_mlflow.report import template_root
from aims_mlflow.report.gap import figure, headline, percent, render_gap

CATALOG = load_catalog(())
NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script> & \x1b[31m"
CSS = (template_root() / "partials" / "gap.css.j2").read_text(encoding="utf-8")
SCHEMES = [dict(re.findall(r"--([a-z0-9-]+):(#[0-9a-f]{6})", block)) for block in re.findall(r":root\{([^}]*)\}", CSS)]


def system(id_, risk="high", *, name=None, reason="Why.", excluded=(), level=0):
    rows = {
        one.id: RowStanding(
            id=one.id,
            title=one.title,
            kind=one.kind,
            status=Status.NOT_APPLICABLE if one.id in excluded else Status.NO_EVIDENCE,
            strength=one.strength,
            reason=reason,
            next_step=f"Do `{one.id}`.",
            maturity=level,
            owner="Head of AI",
        )
        for one in CATALOG.rows.values()
    }
    served = (ServedVersion("credit", "3", ("alias champion",)),)
    return SystemStanding(id_, name or id_.title(), RiskClass(risk), "Owner", "operation", served, rows)


def assessed(*systems, **more):
    return assess_gap(Portfolio(NOW, systems, **more), CATALOG)


def page(found, shown=None, form="html", **more):
    return render_gap(form, found, shown or found.whole, frameworks=CATALOG.frameworks, **more)


class Elements(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


def elements(text, tag):
    return [attributes for name, attributes in Elements(text).found if name == tag]


TWO = assessed(system("loans"), system("chat", "minimal", excluded=("A.10.4",)), undeclared=("shadow",))


@pytest.mark.parametrize("form", ["html", "md"])
def test_every_row_system_and_undeclared_model_is_there(form):
    text = page(TWO, form=form)
    for one in CATALOG.rows.values():
        assert one.id in text.replace("\\", "")
    assert "Loans" in text and "Chat" in text and "high risk" in text
    assert "shadow" in text


def test_the_page_loads_nothing_and_runs_nothing():
    text = page(TWO)
    assert not elements(text, "script") and not elements(text, "link") and not elements(text, "img")
    assert "default-src 'none'" in text
    assert not re.search(r"(?:src|href)=", text)


def test_every_square_says_in_words_what_its_shade_says():
    """Of the rows: id, level, target and how far below; of the overview the mean level; each with its row's text."""
    text = page(TWO)
    squares = re.findall(
        r'<li class="(h[0-4x])" title="([^"]+)"><span>([^<]+)</span><b>([^<]+)</b><span>([^<]+)<', text
    )
    assert len(squares) == 70 * 3
    for shade, title, row, level, note in squares:
        assert title.startswith(f"{row} ")
        match shade:
            case "hx":
                assert note == "excluded"
            case "h0":
                assert note == "on target"
            case _:
                assert note == f"{shade[1]} below" and re.fullmatch(r"\d/\d", level)
    cells = re.findall(r'<td role="cell" class="h[0-4x]" title="([^"]+)">([^<]+)<', text)
    assert len(cells) == 16 * 3
    assert all(re.search(r"mean level [\d.]+, \d+ of \d+ rows? below target", title) for title, _ in cells)


def test_the_bar_and_the_maps_have_a_text_alternative():
    text = page(TWO)
    (bar,) = elements(text, "svg")
    assert "Rows by maturity: 70 at level 0" in bar["aria-label"]
    assert {one["aria-label"] for one in elements(text, "ul") if one.get("class") == "cells"} == {
        "Rows of The organization",
        "Rows of Loans (loans)",
        "Rows of Chat (chat)",
    }


@pytest.mark.parametrize("form", ["html", "md"])
def test_what_came_from_outside_stays_text(form):
    found = assessed(system("a", name=HOSTILE, reason=HOSTILE), undeclared=(HOSTILE,), problems=(HOSTILE,))
    text = page(found, form=form)
    assert "<script>" not in text
    assert "\x1b" not in text


def test_one_system_alone_has_its_own_page():
    text = page(TWO, TWO.systems[1])
    assert "Chat (chat) on 2027-03-01" in text
    assert "Where the gap is" not in text and "Loans" not in text


def test_an_organization_without_a_system_is_shown_alone():
    found = assessed(system(None, "unclassified", name="The organization"))
    text = page(found)
    assert "0</b><span>declared systems" in text
    assert text.count('class="cells"') == 1


def test_the_trend_is_told_row_by_row():
    before = assessed(system("loans", level=2)).whole
    trend = trend_of(TWO.whole, before, since=NOW - timedelta(days=90), source="the records of then")
    for form in ("html", "md"):
        text = page(TWO, form=form, trend=trend)
        assert "Since 2026" in text and "0 rows better, 70 worse" in text
        assert "level 2" in text and "level 0" in text


def test_two_hundred_systems_fit_on_a_page():
    many = assessed(*(system(f"s{n}") for n in range(200)))
    text = page(many)
    assert "177 further systems" in text
    assert len(text) < 3_000_000


def test_rendering_twice_gives_the_same_text():
    assert page(TWO) == page(TWO)


@pytest.mark.parametrize(("value", "shown"), [(None, "none"), (2.9999, "2.99"), (3.0, "3.00"), (0.004, "0.00")])
def test_a_mean_is_never_rounded_up(value, shown):
    assert figure(value) == shown


@pytest.mark.parametrize(
    ("share", "shown"),
    [(None, "none"), (1.0, "100 %"), (0.9999, "99 %"), (0.0, "0 %"), (0.001, "< 1 %"), (0.29, "29 %")],
)
def test_a_share_is_never_rounded_to_the_whole_nor_to_nothing(share, shown):
    assert percent(share) == shown


def test_where_all_is_at_target_the_page_says_so():
    found = assessed(system("a", "minimal", level=4))
    assert headline(found.whole) == "All 70 applicable rows are at their target level."
    assert "Nothing: every applicable row is at its target level." in page(found)


def luminance(colour):
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


@pytest.mark.parametrize("scheme", SCHEMES, ids=["light", "dark", "print"])
def test_every_shade_can_be_read_and_told_from_the_next_without_its_hue(scheme):
    """Whoever sees no colours sees lightness: it rises or falls all the way."""
    for shade in ("h0", "h1", "h2", "h3", "h4", "hx"):
        low, high = sorted((luminance(scheme[shade]), luminance(scheme[f"{shade}-ink"])))
        assert (high + 0.05) / (low + 0.05) >= 4.5
    levels = [luminance(scheme[f"h{n}"]) for n in range(5)]
    assert levels in (sorted(levels), sorted(levels, reverse=True))
    for one, other in pairwise(levels):
        low, high = sorted((one, other))
        assert (high + 0.05) / (low + 0.05) >= 1.15


def test_print_is_the_light_scheme():
    assert SCHEMES[0] == SCHEMES[2] and SCHEMES[0].keys() == SCHEMES[1].keys()
