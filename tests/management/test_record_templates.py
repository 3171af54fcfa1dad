"""Templates of records: one for each type, asking what the register needs; what is filled in comes back."""

import re
from datetime import date
from pathlib import Path

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from aims_mlflow.catalog import load_catalog
from aims_mlflow.cli.attesting import attest
from aims_mlflow.errors import InputError
from aims_mlflow.evidence import now
from aims_mlflow.management.drafting import draft
from aims_mlflow.management.record_templates import asked_of, read_filled, served_by, template_of
from aims_mlflow.management.record_templates.problems import is_placeholder
from aims_mlflow.management.state import State
from aims_mlflow.management.types import record_types

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "templates" / "records"
CATALOG = load_catalog()
TYPES = record_types(CATALOG)
TOPICS = [kind.id for kind in TYPES.values() if kind.is_topic]
WRITTEN = [*TOPICS, "access_list", "retention", "incident_log", "nonconformity_log"]
FIELDS = [name for name in TYPES if name not in {*WRITTEN, "gap"}]
HEAD = {"owner": "Head of AI", "approver": "Board", "valid_from": "2027-01-01", "valid_until": "2027-12-31"}
HEADING = re.compile(r"(?m)^## (.+)$")


def headings(text: str) -> list[str]:
    return HEADING.findall(text)[1:]


def header(text: str) -> dict:
    return yaml.safe_load(text.split("\n---\n")[0].removeprefix("---\n"))


def filled(type_id: str, statement: str = "It holds.", answer=lambda heading: f"About {heading}.", **fields) -> str:
    """The template, filled in as a person would: below the comments, which stay."""
    text = template_of(type_id, CATALOG)
    head, body = text.split("\n---\n", 1)
    given = {
        "owner": "Head of AI",
        "approver": "Board",
        "valid_from": "2027-01-01",
        "valid_until": "2027-12-31",
    } | fields
    for name, value in given.items():
        head = re.sub(rf"(?m)^{name}:.*$", lambda _: f"{name}: {value}", head)  # noqa: B023
    parts = re.split(r"(?m)^(## .+)$", body)
    for n in range(1, len(parts), 2):
        said = statement if parts[n] == "## Statement" else answer(parts[n].removeprefix("## "))
        parts[n + 1] = f"{parts[n + 1].rstrip()}\n\n{said}\n\n"
    return head + "\n---\n" + "".join(parts)


def refused(text: str, where: str = "policy.md") -> InputError:
    with pytest.raises(InputError) as caught:
        read_filled(text, where)
    return caught.value


# --- What is shipped ------------------------------------------------------------------------------------------------


def test_there_is_a_template_for_every_type_that_a_person_writes_and_no_other():
    shipped = {path.name for path in FOLDER.iterdir()}
    assert shipped == {f"{name}.md" for name in (*WRITTEN, "own_topic")} | {f"{name}.yaml" for name in FIELDS}
    assert len(TOPICS) == 58


@pytest.mark.parametrize("type_id", [*WRITTEN, *FIELDS])
def test_the_shipped_file_is_what_the_register_makes_of_it(type_id):
    """Rows and fields stand in the files for readers; they follow the register."""
    path = FOLDER / f"{type_id}.{'yaml' if type_id in FIELDS else 'md'}"
    assert path.read_text(encoding="utf-8") == template_of(type_id, CATALOG)


@pytest.mark.parametrize("type_id", WRITTEN)
def test_a_template_names_its_rows_and_the_fields_they_ask_for(type_id):
    text = template_of(type_id, CATALOG)
    fields = header(text)
    assert fields["type"] == type_id
    assert fields["owner"] is None
    assert (fields["valid_from"], fields["valid_until"]) == ("YYYY-MM-DD", "YYYY-MM-DD")
    assert {"system", "document"} <= set(fields)
    rows = served_by(type_id, CATALOG)
    assert rows
    assert f"\nServes: {', '.join(rows)}\n" in text
    needs = {
        need: [r.id for r in CATALOG.rows.values() for q in r.requires
               if q.where.get("topic") == type_id and need in q.where.get("needs", ())]
        for need in ("approver", "document")
    }  # fmt: skip
    assert ("approver" in fields) == bool(needs["approver"])
    for need, asking in needs.items():
        assert list(asked_of(type_id, need, CATALOG)) == asking
        assert all(row in text.split("\n---\n")[0] for row in asking)


@pytest.mark.parametrize("type_id", [*WRITTEN, "own_topic"])
def test_the_headings_of_a_template_are_its_own_and_each_asks_something(type_id):
    text = (FOLDER / f"{type_id}.md").read_text(encoding="utf-8")
    asked = headings(text)
    assert HEADING.findall(text)[0] == "Statement"
    assert 3 <= len(asked) <= 7
    assert len({*asked, "Statement"}) == len(asked) + 1
    parts = HEADING.split(text)[3:]
    for heading, below in zip(parts[::2], parts[1::2], strict=True):
        assert re.fullmatch(r"\s*<!--.*\?.*-->\s*", below, re.DOTALL), heading
        assert 1 <= below.count("?") <= 4, heading


def test_every_template_is_about_its_own_subject():
    """No two ask the same, and few words are common to most of them."""
    said = {path.name: path.read_text(encoding="utf-8").split("\n---\n")[-1] for path in FOLDER.glob("*.md")}
    questions = [" ".join(q.split()) for text in said.values() for q in re.findall(r"<!--(.*?)-->", text, re.DOTALL)]
    assert len(questions) == len(set(questions)) > 300
    lists = [tuple(headings(text)) for text in said.values()]
    assert len(lists) == len(set(lists))


def test_no_template_holds_a_word_that_promises_or_a_person_or_a_sentence_too_long():
    for path in FOLDER.iterdir():
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"(?i)complian|certif|guarantee|\bshall\b", text), path.name
        assert not re.search(r"\b(?:Mr|Ms|Mrs|Dr)\b\.?|@", text), path.name
        assert max(map(len, text.split("\n"))) <= 120, path.name


def test_a_template_is_not_dated():
    assert all(str(now().year) not in template_of(name, CATALOG) for name in WRITTEN)


def test_a_topic_of_an_own_framework_gets_the_general_template(tmp_path):
    catalog = load_catalog([ROOT / "tests" / "examples" / "acme_controls.yaml"])
    text = template_of("model_owner_sign_off", catalog)
    assert header(text)["type"] == "model_owner_sign_off"
    (row,) = served_by("model_owner_sign_off", catalog)
    assert f"# {catalog.topics['model_owner_sign_off'].title}\n" in text
    assert f"\nServes: {row}\n" in text
    assert read_filled(fill_general(text), "x").unanswered == tuple(headings(text)[1:])


def fill_general(text: str) -> str:
    text = text.replace("owner:", "owner: Head of AI #", 1).replace("YYYY-MM-DD", "2027-01-01")
    text = re.sub(r"(?m)^approver:.*$", "approver: Board", text)
    head, _, rest = text.partition("## Statement\n")
    return f"{head}## Statement\n\nSigned off.\n" + re.sub(r"(?m)^(## .+)$", r"\1\n\nYes.", rest, count=1)


def test_a_computed_record_has_no_template_and_an_unknown_one_is_refused():
    with pytest.raises(InputError, match="aims gap --record"):
        template_of("gap", CATALOG)
    with pytest.raises(InputError, match="ai_policy"):
        template_of("ai_polcy", CATALOG)


# --- What is read ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("type_id", WRITTEN)
def test_a_filled_template_reads_back_and_can_be_filed(type_id):
    made = read_filled(filled(type_id), "x.md")
    assert (made.type, made.owner, made.statement) == (type_id, "Head of AI", "It holds.")
    assert (made.valid_from, made.valid_until) == (date(2027, 1, 1), date(2027, 12, 31))
    assert made.answers == {h: f"About {h}." for h in headings(template_of(type_id, CATALOG))}
    assert made.unanswered == ()
    assert (made.systems, made.document) == ((), None)
    assert made.approver == ("Board" if asked_of(type_id, "approver", CATALOG) else None)
    kind = TYPES[type_id]
    content = made.content_for(kind.content)
    record = draft(State.of([], at=now()), CATALOG, type_id, id=type_id, content=content, owner=made.owner)
    assert all(answer in str(record.content) for answer in made.answers.values())


@pytest.mark.parametrize("type_id", WRITTEN)
def test_a_template_as_shipped_is_refused_with_every_field_that_is_not_filled_in(type_id):
    error = refused(template_of(type_id, CATALOG), "mine.md")
    assert re.fullmatch(r"mine\.md, line \d+", error.where)
    for name in ("owner", "valid_from", "valid_until", "## Statement"):
        assert name in error.message
    assert ("approver: is not filled in" in error.message) == bool(asked_of(type_id, "approver", CATALOG))


def test_an_error_names_line_and_field():
    text = filled("ai_policy").split("\n")
    line = next(n for n, one in enumerate(text) if one.startswith("owner:"))
    text[line] = "owner:"
    error = refused("\n".join(text))
    assert error.where == f"policy.md, line {line + 1}"
    assert error.message.startswith("owner: is not filled in")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("owner", "TODO", "placeholder 'TODO' was left in"),
        ("owner", "<name>", "placeholder '<name>' was left in"),
        ("owner", "[name]", "expected one text"),
        ("owner", "~", "owner: is not filled in"),
        ("owner", '"  "', "owner: is not filled in"),
        ("approver", "", "approver: is not filled in"),
        ("approver", "tbd", "placeholder 'tbd' was left in"),
        ("valid_from", "YYYY-MM-DD", "placeholder 'YYYY-MM-DD' was left in"),
        ("valid_from", "31.12.2027", "'31.12.2027' is not a date in the form YYYY-MM-DD"),
        ("valid_until", "20271231", "is not a date in the form"),
        ("valid_until", "2027-W01-1", "is not a date in the form"),
        ("valid_until", "2027-02-30", "there is no day '2027-02-30'"),
        ("valid_until", "2027-12-31T10:00:00Z", "is not a date in the form"),
        ("document", "{a: b}", "expected one text"),
        ("system", "...", "placeholder '...' was left in"),
        ("owner", "Head of AI: Europe", "not readable as YAML"),
        ("owner", "*board", "write out what '*board' stands for"),
        ("owner", "a\x00b", "not readable as YAML"),
        ("owner", "x\nownr: Y", "ownr: there is no such field. Did you mean owner?"),
        ("owner", "x\nowner: Y", "the field stands twice, first in line 3"),
        ("type", "risk", "its template is YAML"),
    ],
)
def test_a_field_that_cannot_be_taken_is_refused_by_name(field, value, said):
    error = refused(filled("ai_policy", **{field: value}))
    assert said in error.message
    assert "line" in error.where


def test_optional_fields_may_be_left_empty_or_out():
    text = filled("ai_policy", valid_from="", valid_until="", system="credit", document="docs/policy.pdf")
    made = read_filled(text, "x")
    assert (made.valid_from, made.valid_until) == (None, None)
    assert (made.systems, made.document) == (("credit",), "docs/policy.pdf")
    out = re.sub(r"(?m)^(?:valid_from|valid_until|system|document|approver):.*\n", "", text)
    assert read_filled(out, "x").model_dump(exclude={"systems", "document", "approver"}) == made.model_dump(
        exclude={"systems", "document", "approver"}
    )
    several = text.replace("system: credit", "system: [credit, churn]\nrole: Director\nsupports: [5.2]\nid: policy-1")
    made = read_filled(several, "x")
    assert (made.systems, made.role, made.supports, made.id) == (("credit", "churn"), "Director", ("5.2",), "policy-1")


def test_unanswered_headings_are_listed_whether_empty_struck_out_or_deleted():
    asked = headings(template_of("ai_policy", CATALOG))
    empty, dash, question, gone = asked[:4]
    template = template_of("ai_policy", CATALOG)
    copied = re.search(rf"## {re.escape(question)}\s*<!--(.*?)-->", template, re.DOTALL)[1].strip()
    text = filled("ai_policy", answer=lambda h: {empty: "\u200b", dash: "—", question: copied}.get(h, "We do."))
    text = re.sub(rf"(?ms)^## {re.escape(gone)}$.*?(?=^## )", "", text)
    made = read_filled(text, "x")
    assert made.unanswered == (empty, dash, question, gone)
    assert list(made.answers) == asked[4:]


def test_a_heading_of_ones_own_is_an_answer_too_and_one_that_stands_twice_is_refused():
    text = filled("ai_policy") + "\n## Annex for Spain\n\nSee there.\n"
    assert read_filled(text, "x").answers["Annex for Spain"] == "See there."
    error = refused(text + "\n##   Annex for  Spain ##\n\nAgain.\n")
    assert "the heading stands twice" in error.message


@pytest.mark.parametrize(
    "placeholder", ["TODO", "tbd.", "...", "???", "<answer>", "to be done", "YYYY-MM-DD", "{{ x }}"]
)
def test_a_placeholder_left_in_an_answer_is_refused_with_its_heading(placeholder):
    first = headings(template_of("ai_policy", CATALOG))[0]
    error = refused(filled("ai_policy", answer=lambda h: placeholder if h == first else "We do."))
    assert first in error.message
    assert "placeholder" in error.message
    assert refused(filled("ai_policy", statement=placeholder)).message.startswith("'## Statement'")


@pytest.mark.parametrize(
    ("tail", "said"),
    [("<!-- never closed", "comment"), ("```\ncode", "code fence"), ("~~~~ x\n~~~\n````", "code fence")],
)
def test_what_is_never_closed_would_swallow_headings_and_is_refused(tail, said):
    text = filled("ai_policy", answer=lambda h: tail if h.startswith("Principles") else "We do.")
    error = refused(text)
    line = next(n for n, one in enumerate(text.split("\n"), 1) if one.startswith(tail.split("\n")[0]))
    assert error.where == f"policy.md, line {line}"
    assert error.message.startswith(f"{said}: it is opened and n")


DEEP = "[" * 3_000
FIELDS_OF = "type: {}\nid: a\nowner: b\ncontent: {}"


@pytest.mark.parametrize(
    "text",
    [
        "", "\n\n", "\x00", "[]", "type: [", "# AI policy\n\nWe use AI.", "--- \n", "---\n---\n", "---\n- a\n---\n",
        "---\ntype: ai_policy\nowner: A\n", f"---\n{DEEP}\n---\n", "type: ai_policy\nowner: A",
        "type: nothing\nowner: A",
        FIELDS_OF.format("risk", DEEP), FIELDS_OF.format("risk", "text"), FIELDS_OF.format("risk", "{title: *a}"),
        FIELDS_OF.format("risk", "{? [a] : b}"), FIELDS_OF.format("risk", "{title: !!python/name:os.x a}"),
        FIELDS_OF.format("risk", "{likelihood: 0x}"), FIELDS_OF.format("gap", "{}"),
    ],
)  # fmt: skip
def test_what_is_no_filled_template_is_refused_with_its_place(text):
    assert refused(text).where.startswith("policy.md, line ")


def test_a_text_beyond_all_measure_is_refused():
    assert "longer than 1,000,000" in refused("x" * 1_000_001).message


def test_line_ends_and_a_byte_order_mark_do_not_matter():
    text = filled("concerns_channel")
    expected = read_filled(text, "x")
    assert read_filled("\ufeff" + text.replace("\n", "\r\n"), "x") == expected
    assert read_filled(text.replace("\n", "\r"), "x") == expected


LINE = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=60)
CODE = st.tuples(
    st.sampled_from(["```", "~~~", "````python"]), st.lists(LINE | st.just("## not a heading"), max_size=4)
)


def fenced(made):
    mark, inside = made
    plain = mark.removesuffix("python")
    return "\n".join([mark, *(line for line in inside if not line.strip().startswith(plain[:3])), plain])


ANSWER = st.lists(
    st.one_of(
        LINE.filter(lambda line: not re.match(r" {0,3}(##[ \t]|```|~~~|<!--)", line)),
        st.sampled_from(
            ["---", "# One", "### Three", "#hash", "##", "    ## indented", "a --> b", "x <!-- y", "owner: me"]
        ),
        st.just("long " * 500),
        CODE.map(fenced),
    ),
    min_size=1,
    max_size=6,
).map("\n".join)


@settings(max_examples=200, deadline=None)
@given(st.data(), st.sampled_from(WRITTEN))
def test_whatever_is_answered_reads_back_as_written(data, type_id):
    answers = {h: data.draw(ANSWER, label=h) for h in headings(template_of(type_id, CATALOG))}
    statement = "So it is.\n" + data.draw(ANSWER)
    assume(not any(is_placeholder(a) for a in answers.values()))
    made = read_filled(filled(type_id, statement, answers.__getitem__), "x.md")
    said = {h: a.strip() for h, a in answers.items() if any(c.isalnum() for c in a)}
    assert made.statement == statement.strip()
    assert made.answers == said
    assert set(made.unanswered) == set(answers) - set(said)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=400) | st.text(max_size=200).map(lambda t: f"---\ntype: ai_policy\nowner: A\n---\n{t}"))
def test_any_text_is_read_or_refused_and_never_breaks(text):
    try:
        made = read_filled(text, "x")
    except InputError as error:
        assert error.where.startswith("x")
    else:
        assert made.owner
        assert made.statement or made.fields is not None


# --- Types with fields of their own ---------------------------------------------------------------------------------

EXAMPLES = {
    "system": {"name": "Credit pre-scoring", "organization_role": "deployer", "risk_class": "high"},
    "risk": {
        "title": "Unfair rejections", "source": "fairness", "likelihood": 3, "consequence": 4, "review_by": "2027-06-30"
    },
    "risk_criteria": {"tolerable": 6},
    "impact": {"intended_use": "Sorts applications.", "conclusion": "acceptable with measures", "reason": "Measured."},
    "soa": {},
    "incident": {"title": "Wrong scores", "severity": "major", "aware_at": "2027-03-31T08:15:00Z"},
    "nonconformity": {"title": "No audit", "rows": "[9.2.2]", "found_at": "2027-03-31T08:15:00Z"},
}  # fmt: skip
NEEDED = {
    "system": {"name"},
    "risk": {"title", "source", "likelihood", "consequence", "review_by"},
    "risk_criteria": {"tolerable"},
    "impact": {"intended_use", "conclusion", "reason"},
    "soa": {"lines"},
    "incident": {"title", "severity", "aware_at"},
    "nonconformity": {"title", "found_at"},
}


def filled_fields(type_id: str, **more) -> str:
    text = template_of(type_id, CATALOG)
    head = {
        "owner": "Head of AI",
        "approver": "Board",
        "valid_from": "2027-01-01",
        "valid_until": "2027-12-31",
        "id": "a-1",
    }
    for name, value in head.items():
        text = re.sub(rf"(?m)^{name}:.*$", lambda _: f"{name}: {value}", text)  # noqa: B023
    for name, value in {**EXAMPLES[type_id], **more}.items():
        text, count = re.subn(rf"(?m)^{name}:.*$", lambda _: f"{name}: {value}", text)  # noqa: B023
        assert count == 1, name
    return text.replace("applicable:", "applicable: true").replace("justification:", "justification: A risk needs it.")


@pytest.mark.parametrize("type_id", FIELDS)
def test_a_filled_list_of_fields_is_a_content_of_its_type(type_id):
    made = read_filled(filled_fields(type_id), "x.yaml")
    kind = TYPES[type_id]
    assert kind.content.model_validate(made.content_for(kind.content)).model_dump(mode="json") == made.fields
    assert (made.type, made.id, made.owner) == (type_id, "a-1", "Head of AI")
    for name, value in EXAMPLES[type_id].items():
        assert str(made.fields[name]).replace("'", "") == str(value)


def content_of(text: str) -> set[str]:
    """Fields of the content: those after the header, a paragraph of its own."""
    plain = yaml.safe_load(text)
    if "content" in plain:
        return set(plain["content"])
    return set(yaml.safe_load(text.split("\n\n", 2)[2]))


@pytest.mark.parametrize("type_id", FIELDS)
def test_its_template_asks_for_every_field_a_person_gives_and_for_no_other(type_id):
    text = template_of(type_id, CATALOG)
    asked = content_of(text)
    fields = TYPES[type_id].content.model_fields
    assert asked <= set(fields)
    assert {name for name, field in fields.items() if field.is_required()} <= asked
    assert content_of(re.sub(r"(?m)^  # ", "  ", text)) == asked
    header_fields = {"type", "id", "owner", "valid_from", "valid_until", "system", "document"}
    assert not header_fields & set(fields)


@pytest.mark.parametrize("type_id", [name for name in FIELDS if name != "soa"])
def test_its_examples_behind_the_hash_are_valid(type_id):
    text = re.sub(r"(?m)^  # ", "  ", filled_fields(type_id))
    made = read_filled(text, "x.yaml")
    for name in ("effects", "thresholds", "affected", "notices", "actions", "effectiveness"):
        if f"\n{name}:  #" in text:
            assert made.fields[name], name


def test_the_templates_say_what_reading_them_asks_for():
    risk = template_of("risk", CATALOG)
    assert re.search(r"(?m)^review_by:  # .*needed here", risk)
    assert re.search(
        r"(?m)^data_sources: \[\]  # .*by its name under datasets in aims.yaml", template_of("impact", CATALOG)
    )


@pytest.mark.parametrize("type_id", FIELDS)
def test_needed_fields_left_empty_are_named_with_their_line(type_id):
    for name in NEEDED[type_id]:
        text = filled_fields(type_id) if name == "lines" else filled_fields(type_id, **{name: ""})
        text = re.sub(r"(?ms)^  lines:.*", "  lines:\n", text) if name == "lines" else text
        line = next(n for n, one in enumerate(text.split("\n"), 1) if one.lstrip().startswith(f"{name}:"))
        error = refused(text, "x.yaml")
        assert error.where == f"x.yaml, line {line}"
        assert error.message.startswith(f"{name}: is not filled in")
    text = filled_fields(type_id).replace("owner: Head of AI", "owner:", 1)
    assert refused(text).message.startswith("owner: is not filled in")


def test_a_wrong_value_deep_inside_is_named_by_line_and_path():
    text = filled_fields("soa").replace("justification: A risk needs it.", "justification: ' '", 1)
    error = refused(text, "soa.yaml")
    line = next(n for n, one in enumerate(text.split("\n"), 1) if "justification: ' '" in one)
    assert error.where == f"soa.yaml, line {line}"
    assert "lines.A.2.2.justification" in error.message
    assert "review_by" in refused(filled_fields("risk", review_by="2027-13-01")).message
    assert "the placeholder 'TODO' was left in" in refused(filled_fields("risk", title="TODO")).message
    assert "likelyhood" in refused(filled_fields("risk") + "\nlikelyhood: 3\n").message
    assert "likelihood" in refused(filled_fields("risk", likelihood=9)).message


def test_fields_may_stand_under_content_too():
    flat = filled_fields("risk")
    head, own = flat.split("\n\n", 2)[1:]
    nested = head + "\ncontent:\n" + "".join(f"  {line}\n" for line in own.split("\n"))
    assert read_filled(nested, "x") == read_filled(flat, "x")


def test_the_statement_of_applicability_lists_every_control():
    lines = yaml.safe_load(template_of("soa", CATALOG))["content"]["lines"]
    assert list(lines) == [row.id for row in CATALOG.rows.values() if row.kind == "control"]
    assert len(lines) == 38


# --- What the register says to do -----------------------------------------------------------------------------------


def test_every_statement_the_register_asks_for_has_a_command_that_makes_it():
    seen, options = set(), {option for param in attest.params for option in param.opts}
    for row in CATALOG.rows.values():
        for need in row.requires:
            if need.check != "AT001":
                continue
            topic = need.where["topic"]
            seen.add(topic)
            needs = need.where.get("needs", ())
            command = need.remedy.split(";")[0]
            if f"`aims attest {topic} " in command:
                assert " --owner WHO --statement TEXT" in command
                assert set(re.findall(r"--[a-z]+", need.remedy)) <= options
                assert ("--approver" in command) == ("approver" in needs), topic
                assert ("--document" in command) == ("document" in needs), topic
            else:
                assert re.search(r"`aims (?:risk|impact|soa)\b", command), topic
            assert f"topic: {topic}" in need.remedy
    assert seen == set(TOPICS)


def test_what_logs_and_extracts_need_is_said_as_a_command():
    said = {(row.id, need.id): need.remedy for row in CATALOG.rows.values() for need in row.requires}
    assert "`aims incident review`" in said["A.8.4", "log"]
    assert "`aims nonconformity review`" in said["10.2", "log"]
    assert "`aims gap --record --owner WHO`" in said["10.1", "trend"]
    assert "`aims attest access_list`" in said["7.5.3", "protection"]
