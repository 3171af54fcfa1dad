"""Files of the user's own: taken in, or refused with file, row and the nearest valid name."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from aims_mlflow.catalog import load_catalog
from aims_mlflow.errors import CatalogError

EXAMPLE = Path(__file__).parent.parent / "examples" / "acme_controls.yaml"


def _row(**changes):
    need = {"id": "a", "what": "a thing", "evidence": ["run"], "remedy": "Do it."}
    need.update(changes.pop("need", {}))
    row = {"id": "X-1", "title": "t", "kind": "control", "group": "g", "summary": "s", "strength": "automatic"}
    return {**row, "freshness": "annual", "requires": [need], **changes}


def _file(**changes):
    head = {"id": "own", "title": "Own", "version": "1"}
    return {"framework": head, "groups": {"g": "Group"}, "rows": [_row()], **changes}


def _load(tmp_path, content):
    path = tmp_path / "own.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return load_catalog([path])


def test_a_file_is_parsed_once_and_read_anew_as_soon_as_it_says_something_else(tmp_path):
    first = _load(tmp_path, _file())
    assert _load(tmp_path, _file()) is first
    changed = _load(tmp_path, _file(rows=[_row(title="another title")]))
    assert changed.row("X-1").title == "another title"
    assert changed.sha256 != first.sha256
    (tmp_path / "own.yaml").unlink()
    with pytest.raises(CatalogError, match="cannot be read"):
        load_catalog([tmp_path / "own.yaml"])


def test_the_example_adds_its_rows_after_the_seventy():
    catalog = load_catalog([EXAMPLE])
    assert catalog.ids[-2:] == ("MR-1", "MR-2")
    assert len(catalog.ids) == 72
    assert catalog.framework_of["MR-1"] == "acme"
    assert [f.id for f in catalog.frameworks] == ["iso_42001", "acme"]
    assert len(load_catalog().ids) == 70


def test_a_crosswalk_of_the_users_own_is_taken_in(tmp_path):
    entries = {"A.7.4": {"medium": ["Rule 12"]}}
    own = {"crosswalk": {"id": "house", "title": "House rules", "source": "us"}, "entries": entries}
    catalog = _load(tmp_path, own)
    assert catalog.crosswalk("A.7.4")["house"] == {"medium": ("Rule 12",)}


MISTAKES = {
    "kind": (
        _file(rows=[_row(need={"evidence": ["data_qualty"]})]),
        r"own.yaml, row X-1, requirement a.*data_qualty.*data_quality",
    ),
    "check": (_file(rows=[_row(need={"check": "DQ01"})]), r"row X-1.*no check 'DQ01'.*DQ001"),
    "argument": (_file(rows=[_row(need={"where": {"rol": "training"}})]), r"no argument of EV001 'rol'.*role"),
    "topic": (
        _file(rows=[_row(need={"evidence": ["attestation"], "check": "AT001", "where": {"topic": "ai_polcy"}})]),
        r"no attestation topic 'ai_polcy'.*ai_policy",
    ),
    "field": (
        _file(
            rows=[_row(need={"evidence": ["declaration"], "check": "DC001", "where": {"fields": ["system.purpos"]}})]
        ),
        r"aims.yaml has no field 'system.purpos'.*purpose",
    ),
    "field below a value": (
        _file(rows=[_row(need={"evidence": ["declaration"], "check": "DC001", "where": {"fields": ["system.id.x"]}})]),
        r"aims.yaml has no field",
    ),
    "freshness": (_file(rows=[_row(freshness="anual")]), r"row X-1.*no freshness profile 'anual'.*annual"),
    "freshness of a part": (_file(rows=[_row(need={"freshness": "anual"})]), r"requirement a.*annual"),
    "group": (_file(rows=[_row(group="h")]), r"row X-1.*no group 'h'"),
    "strength": (_file(rows=[_row(strength="auto")]), r"row X-1: strength"),
    "id twice": (_file(rows=[_row(), _row()]), r"'X-1' is taken by a row of own.yaml"),
    "id of the standard": (_file(rows=[_row(id="A.7.4")]), r"'A.7.4' is taken by a row of iso_42001.yaml"),
    "requirement twice": (_file(rows=[_row(requires=[_row()["requires"][0]] * 2)]), r"id of its own"),
    "no requirement": (_file(rows=[_row(requires=[])]), r"row X-1: requires"),
    "no evidence": (_file(rows=[_row(need={"evidence": []})]), r"never met"),
    "accepts nothing": (_file(rows=[_row(need={"accepts": []})]), r"never met"),
    "unknown key of a row": (_file(rows=[_row(titel="t")]), r"row X-1: titel.*title"),
    "number as id": (_file(rows=[_row(id=4.1)]), r"id.*quotes"),
    "no rows": (_file(rows=[]), r"at least one"),
    "no framework": ({"rows": [_row()]}, r"expected 'framework'"),
    "framework twice": (_file(framework={"id": "iso_42001", "title": "t", "version": "1"}), r"there already"),
    "kind redefined": (_file(evidence_kinds={"run": {"what": "w", "basis": "measured"}}), r"'run' is there already"),
    "check redefined": (_file(checks={"DQ001": []}), r"'DQ001' is listed twice"),
    "unknown top key": (_file(crosswalks={}), r"unknown key 'crosswalks'.*crosswalk"),
    "crosswalk target": (
        {"crosswalk": {"id": "h", "title": "t", "source": "s"}, "entries": {"A.7.44": {"high": ["x"]}}},
        r"own.yaml, entry A.7.44.*A.7.4",
    ),
    "crosswalk confidence": (
        {"crosswalk": {"id": "h", "title": "t", "source": "s"}, "entries": {"A.7.4": {"sure": ["x"]}}},
        r"entry A.7.4",
    ),
    "crosswalk twice": (
        {"crosswalk": {"id": "eu_ai_act", "title": "t", "source": "s"}, "entries": {}},
        r"there already",
    ),
    "key twice": ("framework: {id: a, id: b}", r"line 1.*'id' stands twice"),
    "not yaml": ("framework: [", r"own.yaml, line"),
    "a list": ("- a", r"expected a mapping"),
    "empty": ("", r"expected a mapping"),
    "python object": ("framework: !!python/object/apply:os.getcwd []", r"cannot be read"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_refused_with_its_place_and_the_nearest_name(name, tmp_path):
    content, message = MISTAKES[name]
    with pytest.raises(CatalogError, match=message):
        _load(tmp_path, content)


def test_a_file_that_is_not_there_is_an_error_not_an_empty_framework(tmp_path):
    with pytest.raises(CatalogError, match=r"missing.yaml.*cannot be read"):
        load_catalog([tmp_path / "missing.yaml"])


def test_bytes_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_bytes(b"\xff\xfe\x00framework")
    with pytest.raises(CatalogError, match=r"own.yaml"):
        load_catalog([path])
