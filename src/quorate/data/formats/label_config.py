"""Label Studio's labeling configuration: which controls ask which questions; read from its XML, written for a schema.

The parser builds no tree, knows no file and no network, and refuses document types, so that entities cannot be
declared at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple
from xml.parsers import expat  # nosec B407 # document types are refused below
from xml.sax.saxutils import quoteattr  # nosec B406 # it writes, it does not read

from quorate.data.formats.multi_select import NO, YES, option_name
from quorate.errors import FormatError, SchemaError
from quorate.schema import Option, Schema, Task

Kind = Literal["choices", "rating", "pairwise"]
TAGS: Mapping[str, Kind] = {"Choices": "choices", "Rating": "rating", "Pairwise": "pairwise"}
SIDES = ("left", "right")  # what a pairwise control answers
MOST_STARS = 100
DEEPEST = 200
MEND = "copy it from the project: Settings, Labeling Interface, Code"


class Control(NamedTuple):
    """A question as Label Studio asks it; no classes where they come from each task's data."""

    name: str
    to_name: str
    kind: Kind
    classes: tuple[str, ...]
    multiple: bool = False  # choose all that apply
    ordered: bool = False

    def tasks(self, classes: Sequence[str] = ()) -> tuple[Task, ...]:
        """The tasks that it asks, one of yes and no for each class where all that apply are chosen."""
        offered = self.classes or tuple(classes)
        if self.multiple:
            return tuple(Task(option_name(self.name, c), (NO, YES), option_of=Option(self.name, c)) for c in offered)
        return (Task(self.name, offered, self.ordered),) if offered else ()


# ---- reading --------------------------------------------------------------------------------------------------------
def read_config(text: str, source: str = "label_config") -> tuple[Control, ...]:
    """The controls that ask for classes, in order; others are passed over, and those that ask about regions too.

    Raises FormatError for what is no XML, for a document type, and for a control without a name.

    >>> read_config('<View><Text name="t" value="$t"/><Rating name="fun" toName="t" maxRating="3"/></View>')
    (Control(name='fun', to_name='t', kind='rating', classes=('1', '2', '3'), multiple=False, ordered=True),)
    """
    reading = _Reading(source)
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = reading.refuse
    parser.EntityDeclHandler = reading.refuse
    parser.StartElementHandler = reading.start
    parser.EndElementHandler = reading.end
    try:
        parser.Parse(text.encode(), True)
    except (expat.ExpatError, UnicodeEncodeError) as error:
        raise FormatError(f"the labeling configuration is not XML ({error})", mend=MEND, source=source) from None
    return reading.controls()


class _Found(NamedTuple):
    """A control as it is being read."""

    kind: Kind
    attributes: dict[str, str]
    classes: list[str]


class _Reading:
    """What the parser has seen so far."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._found: list[_Found] = []
        self._inside: list[str] = []

    def refuse(self, *_: object) -> None:
        raise FormatError(
            "the labeling configuration declares a document type", mend="remove the <!DOCTYPE ...>", source=self._source
        )

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._inside.append(tag)
        if len(self._inside) > DEEPEST:
            raise FormatError("the labeling configuration is nested too deeply", mend=MEND, source=self._source)
        if tag in TAGS:
            self._found.append(_Found(TAGS[tag], attributes, []))
        elif tag == "Choice" and "Choices" in self._inside:
            self._found[-1].classes.append(attributes.get("alias") or attributes.get("value", ""))

    def end(self, _tag: str) -> None:
        self._inside.pop()

    def controls(self) -> tuple[Control, ...]:
        whole = [each for each in self._found if each.attributes.get("perRegion", "").lower() != "true"]
        made = tuple(self._control(each) for each in whole)
        names = [control.name for control in made]
        for name in names:
            if names.count(name) > 1:
                raise FormatError(f"two controls are called {name!r}", mend="rename one of them", source=self._source)
        return made

    def _control(self, found: _Found) -> Control:
        name, to_name = found.attributes.get("name", ""), found.attributes.get("toName", "")
        if not name or not to_name:
            raise FormatError("a control has no name or no toName", mend=MEND, source=self._source)
        classes = tuple(dict.fromkeys(each for each in found.classes if each))
        match found.kind:
            case "rating":
                classes = tuple(str(star) for star in range(1, self._stars(found) + 1))
            case "pairwise":
                classes = SIDES
            case "choices":
                pass
        multiple = found.kind == "choices" and found.attributes.get("choice", "single").startswith("multiple")
        ordered = found.kind == "rating" or found.attributes.get("ordered", "").lower() == "true"
        return Control(name, to_name, found.kind, classes, multiple, ordered and not multiple)

    def _stars(self, found: _Found) -> int:
        text = found.attributes.get("maxRating", "5")
        if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MOST_STARS:
            raise FormatError(
                f"maxRating is {text!r}", mend=f"write a whole number from 1 to {MOST_STARS}", source=self._source
            )
        return int(text)


# ---- writing --------------------------------------------------------------------------------------------------------
def write_config(schema: Schema, contents: Mapping[str, Literal["Text", "Image"]]) -> str:
    """A labeling configuration that shows these fields of the data and asks the schema's tasks.

    Raises SchemaError where no field is to be shown, for a task named like a field, or for two controls of one name.
    """
    if not contents:
        raise SchemaError("there is nothing to show", mend="give an items table with a content column")
    shown = [f"  <{tag} name={quoteattr(name)} value={quoteattr('$' + name)}/>" for name, tag in contents.items()]
    about = next(iter(contents))
    asked = [line for control in controls_of(schema, about) for line in _control_lines(control)]
    for control in controls_of(schema, about):
        if control.name in contents:
            mend = "rename the column of the items"
            raise SchemaError(f"{control.name!r} is a task and a field of the items", mend=mend)
    return "\n".join(["<View>", *shown, *asked, "</View>"]) + "\n"


def controls_of(schema: Schema, to_name: str) -> tuple[Control, ...]:
    """The controls that ask a schema's tasks: stars for a scale that counts from 1, choices for all else.

    Raises SchemaError where a task and a choose-all-that-apply question have one name.
    """
    found: dict[str, Control] = {}
    for task in schema.tasks:
        if task.option_of is None:
            stars = task.ordered and task.classes == tuple(map(str, range(1, len(task.classes) + 1)))
            stars = stars and len(task.classes) <= MOST_STARS
            control = Control(task.name, to_name, "rating" if stars else "choices", task.classes, ordered=task.ordered)
        else:
            question, label = task.option_of
            before = found.pop(question, Control(question, to_name, "choices", (), multiple=True))
            control = before._replace(classes=(*before.classes, label))
            if not before.multiple:
                raise _one_name(question)
        if control.name in found:
            raise _one_name(control.name)
        found[control.name] = control
    return tuple(found.values())


def _one_name(name: str) -> SchemaError:
    return SchemaError(f"{name!r} is the name of a task and of a question", mend="rename one of them")


def _control_lines(control: Control) -> list[str]:
    names = f"name={quoteattr(control.name)} toName={quoteattr(control.to_name)}"
    header = f"  <Header value={quoteattr(control.name)}/>"
    if control.kind == "rating":
        return [header, f'  <Rating {names} maxRating="{len(control.classes)}"/>']
    choice = "multiple" if control.multiple else "single"
    choices = [f"    <Choice value={quoteattr(label)}/>" for label in control.classes]
    ordered = ' ordered="true"' if control.ordered else ""  # our own word, which Label Studio passes over
    return [header, f'  <Choices {names} choice="{choice}"{ordered} showInline="true">', *choices, "  </Choices>"]
