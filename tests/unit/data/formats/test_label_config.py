"""Label Studio's labeling configuration."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.data.formats.label_config import read_config, write_config
from quorate.data.formats.label_studio_read import asked_by
from quorate.errors import FormatError, SchemaError
from quorate.schema import Schema, Task
from unit.data.formats.worlds import CONTENT, schema_of, schemas


@settings(max_examples=40)
@given(schemas())
def test_a_schema_written_and_read_is_the_same(tasks):
    """Choices, scales, stars and all-that-apply; whatever their names are spelled with."""
    schema = schema_of(tasks)
    controls = read_config(write_config(schema, {CONTENT: "Text"}))
    assert asked_by(controls, {}).tasks == schema.tasks
    assert {control.to_name for control in controls} == {CONTENT}


@pytest.mark.parametrize(
    "evil",
    [
        '<!DOCTYPE v [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><View>&b;</View>',
        '<!DOCTYPE v [<!ENTITY a SYSTEM "file:///etc/passwd">]><View>&a;</View>',
        '<!DOCTYPE v SYSTEM "http://127.0.0.1/x.dtd"><View/>',
        "<View>" * 300 + "</View>" * 300,
        "<View>",
        "",
        "not xml",
        '<View><Choices toName="t"/></View>',
        '<View><Rating name="r" toName="t" maxRating="99999999999"/></View>',
        '<View><Rating name="r" toName="t" maxRating="-1"/></View>',
        '<View><Rating name="r" toName="t"/><Rating name="r" toName="t"/></View>',
        '<View><Choices name="\ud800" toName="t"/></View>',
    ],
)
def test_what_is_no_configuration_is_refused(evil):
    """Document types, endless nesting, nameless controls: one error that says how to mend it."""
    with pytest.raises(FormatError, match="To mend"):
        read_config(evil)


@given(st.text(st.sampled_from("<>/=\"'&;!?[]- VewChoicsRating\n"), max_size=60))
def test_any_text_is_a_configuration_or_an_error(text):
    """Nothing else is raised."""
    with suppress(FormatError):
        read_config(text)


def test_questions_about_regions_and_other_controls_are_passed_over():
    """Only what asks about the whole item for classes is a task; an alias is the class."""
    found = read_config(
        '<View><Text name="t" value="$t"/><Labels name="l" toName="t"><Label value="x"/></Labels>'
        '<Choices name="part" toName="t" perRegion="true"><Choice value="a"/></Choices>'
        '<TextArea name="why" toName="t"/>'
        '<Choices name="tone" toName="t"><Choice value="Very good" alias="good"/><Choice value="bad"/></Choices>'
        '<Pairwise name="better" toName="a,b"/></View>'
    )
    assert [(control.name, control.classes) for control in found] == [
        ("tone", ("good", "bad")),
        ("better", ("left", "right")),
    ]


def test_a_field_and_a_task_of_one_name_are_refused():
    """Label Studio could not tell them apart."""
    with pytest.raises(SchemaError, match="'text' is a task and a field"):
        write_config(Schema((Task("text", ("a", "b")),)), {"text": "Text"})
