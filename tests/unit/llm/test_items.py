"""Items from tables and folders, texts and images."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from quorate.errors import DataError
from quorate.llm.items import read_items

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
JPEG = b"\xff\xd8\xff\xe0" + bytes(20)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("i.csv", "item,text,label\na,hello,x\nb,,y\n"),
        ("i.jsonl", '{"item": "a", "text": "hello", "label": "x"}\n{"item": "b", "text": null, "label": "y"}\n'),
    ],
)
def test_a_table_shows_its_text_and_no_column_that_nobody_named(tmp_path: Path, name: str, text: str) -> None:
    """A column `label` beside the text would tell the answer."""
    (tmp_path / name).write_text(text)
    items = read_items(tmp_path / name)
    assert items.ids == ("a", "b")
    assert [items.content(place).texts for place in range(2)] == [{"text": "hello"}, {"text": ""}]


def test_columns_are_shown_as_the_rubric_names_them(tmp_path: Path) -> None:
    """In its order; one that is not there is told, and so is doubt."""
    (tmp_path / "i.csv").write_text("item,title,body\na,T,B\n")
    assert list(read_items(tmp_path / "i.csv", ["body", "title"]).content(0).texts) == ["body", "title"]
    with pytest.raises(DataError, match=r"no column 'bdy'.*title, body"):
        read_items(tmp_path / "i.csv", ["bdy"])
    with pytest.raises(DataError, match=r"show: .title, body."):
        read_items(tmp_path / "i.csv")


def test_a_folder_of_texts_and_images_is_read_by_content(tmp_path: Path) -> None:
    """The item is the path; what an image is, its first bytes say; other and hidden files are left aside."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "a.txt").write_text("hello")
    (tmp_path / "deep" / "b.png").write_bytes(JPEG)
    (tmp_path / "c.pdf").write_bytes(b"%PDF")
    (tmp_path / ".hidden.txt").write_text("no")
    items = read_items(tmp_path)
    assert items.ids == ("a.txt", "deep/b.png")
    assert items.left_aside == ("c.pdf",)
    url = items.content(1).images[0].url()
    assert url.startswith("data:image/jpeg;base64,")
    assert base64.b64decode(url.partition(",")[2]) == JPEG


def test_a_table_names_images_beside_it(tmp_path: Path) -> None:
    """An empty cell is an item without an image."""
    (tmp_path / "p.png").write_bytes(PNG)
    (tmp_path / "i.csv").write_text("item,text,image\na,hello,p.png\nb,bye,\n")
    items = read_items(tmp_path / "i.csv")
    assert [len(items.content(place).images) for place in range(2)] == [1, 0]


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("../secret.png", "outside the folder"),
        ("link.png", "outside the folder"),
        ("/etc/hostname", "outside the folder"),
        ("http://169.254.169.254/x.png", "address"),
        ("FILE:///etc/hostname", "address"),
        ("none.png", "cannot be opened"),
        ("text.png", "no image"),
        ("x\x00.png", "cannot be opened"),
    ],
)
def test_an_item_cannot_make_a_file_or_an_address_of_its_choice_be_sent(tmp_path: Path, cell: str, words: str) -> None:
    """Only images that lie beside the table; the error names row, column and mend."""
    inner = tmp_path / "data"
    inner.mkdir()
    (tmp_path / "secret.png").write_bytes(PNG)
    (inner / "link.png").symlink_to(tmp_path / "secret.png")
    (inner / "text.png").write_text("<svg onload=...>")
    (inner / "i.jsonl").write_text(json.dumps({"item": "a", "text": "t", "image": cell}) + "\n")
    with pytest.raises(DataError, match=words) as told:
        read_items(inner / "i.jsonl")
    assert "image" in str(told.value)


def test_bad_tables_and_folders_are_told_as_everywhere(tmp_path: Path) -> None:
    """No item column, an item twice, nothing there."""
    (tmp_path / "i.csv").write_text("id,text\na,hello\n")
    with pytest.raises(DataError, match="rename column 'id' to 'item'"):
        read_items(tmp_path / "i.csv")
    (tmp_path / "i.csv").write_text("item,text\na,hello\na,bye\n")
    with pytest.raises(DataError, match="listed already"):
        read_items(tmp_path / "i.csv")
    with pytest.raises(DataError, match=r"no such folder|cannot be opened|no known kind"):
        read_items(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="nothing to label"):
        read_items(tmp_path / "empty")
