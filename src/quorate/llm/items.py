"""What is labeled: texts and images, from a table, a dataset folder, or a folder of files.

An image goes to a model by content, as a data URL: a model server is never handed an address that an item chose, and a
file outside the folder of the items is never sent. What it is, is read from its first bytes, not from its name.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa

from quorate.data.restricted import RESTRICTED, restricted_items
from quorate.errors import DataError, FormatError, SettingError

if TYPE_CHECKING:
    from quorate.data.dataset import Dataset

TABLES = (".csv", ".jsonl", ".parquet")
TEXTS = (".txt", ".md")
IMAGES = (".png", ".jpg", ".jpeg", ".gif", ".webp")
IMAGE_COLUMNS = frozenset({"image", "images", "image_path", "image_file", "picture", "photo"})
TEXT_COLUMN = "text"
MOST_IMAGE_BYTES = 20 * 10**6
ADDRESSES = ("http://", "https://", "ftp://", "file:", "gopher:")


class Image(NamedTuple):
    """A picture by content."""

    mime: str
    data: bytes

    def url(self) -> str:
        """As a data URL."""
        return f"data:{self.mime};base64,{base64.b64encode(self.data).decode()}"


class Content(NamedTuple):
    """What a model sees of an item: its texts by name, and its images."""

    texts: Mapping[str, str]
    images: tuple[Image, ...] = ()


@dataclass(frozen=True)
class Items:
    """Items in order, with what a model sees of each; images are read when they are asked for."""

    ids: tuple[str, ...]
    texts: Mapping[str, Sequence[str]]
    images: Mapping[str, Sequence[Path | None]]
    data: Dataset | None = None  # what else is known of them: labels of people, gold, features
    left_aside: tuple[str, ...] = ()  # files of a folder that are neither text nor image
    restricted: frozenset[str] = frozenset()  # of the items, those that may not leave the boundary

    def __len__(self) -> int:
        return len(self.ids)

    def content(self, place: int) -> Content:
        """What a model sees of the item at that place."""
        paths = [column[place] for column in self.images.values()]
        return Content(
            {name: column[place] for name, column in self.texts.items()},
            tuple(read_image(path) for path in paths if path is not None),
        )

    @cached_property
    def restricted_texts(self) -> frozenset[str]:
        """The texts of restricted items, to know one again where it stands in a worked example."""
        places = [place for place, name in enumerate(self.ids) if name in self.restricted]
        return frozenset(text for column in self.texts.values() for place in places if (text := column[place].strip()))

    @cached_property
    def place_of(self) -> dict[str, int]:
        """Item to its place."""
        return {name: place for place, name in enumerate(self.ids)}


def read_items(path: Path, show: Sequence[str] | None = None) -> Items:
    """The items of a table file, of a dataset folder with a table of items, or the text and image files of a folder.

    `show` names the columns that a model sees; without it `text` and columns of images, or the only text there is.
    Raises DataError that names file, row, column and the mend.
    """
    if path.is_dir() and not _items_file(path):
        return _of_files(path)
    from quorate.data.dataset import Dataset

    if path.is_dir():
        data, source = Dataset.read(path), _items_file(path)
    else:
        from quorate.data.files import read_file

        data, source = Dataset.from_raw([read_file("items", path)]), path
    assert data.items is not None and source is not None
    return _of_table(data, data.items, source, show)


def read_image(path: Path) -> Image:
    """An image file. Raises FormatError where it is none that models read, or too large."""
    try:
        data = path.read_bytes()
    except OSError as error:
        mend = "check that the file is there and may be read"
        raise FormatError(f"the image cannot be read ({error.strerror})", mend=mend, source=str(path)) from None
    if len(data) > MOST_IMAGE_BYTES:
        mend = "make it smaller: models scale images down anyway"
        raise FormatError(f"the image has {len(data):,} bytes", mend=mend, source=str(path))
    mime = mime_of(data)
    if mime is None:
        mend = "save it as PNG, JPEG, GIF or WebP"
        raise FormatError("this is no image that models read", mend=mend, source=str(path))
    return Image(mime, data)


def mime_of(data: bytes) -> str | None:
    r"""What kind of image the first bytes say it is, or None.

    >>> mime_of(b"\x89PNG\r\n\x1a\n..."), mime_of(b"GIF89a"), mime_of(b"<svg>")
    ('image/png', 'image/gif', None)
    """
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    return "image/webp" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else None


def _items_file(folder: Path) -> Path | None:
    return next((path for ending in TABLES if (path := folder / f"items{ending}").is_file()), None)


def _of_files(folder: Path) -> Items:
    found = [path for path in sorted(folder.rglob("*")) if path.is_file() and not _is_hidden(path, folder)]
    shown = [path for path in found if path.suffix.lower() in TEXTS + IMAGES]
    if not shown:
        mend = f"put texts ({', '.join(TEXTS)}), images ({', '.join(IMAGES)}) or a table items.csv there"
        problem = "there is nothing to label in this folder" if folder.is_dir() else "there is no such folder"
        raise FormatError(problem, mend=mend, source=str(folder))
    is_text = [path.suffix.lower() in TEXTS for path in shown]
    texts = [_text(path) if text else "" for path, text in zip(shown, is_text, strict=True)]
    images = [None if text else _inside(path, folder) for path, text in zip(shown, is_text, strict=True)]
    return Items(
        tuple(path.relative_to(folder).as_posix() for path in shown),
        {TEXT_COLUMN: texts} if any(is_text) else {},
        {"image": images} if not all(is_text) else {},
        left_aside=tuple(path.relative_to(folder).as_posix() for path in found if path not in set(shown)),
    )


def _is_hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"the text cannot be read ({error})", mend="save it as UTF-8", source=str(path)) from None


def _of_table(data: Dataset, table: pa.Table, source: Path, show: Sequence[str] | None) -> Items:
    columns = _shown(table, source, show)
    ids = tuple(table["item"].to_pylist())
    texts = {name: _texts(table[name]) for name in columns if name.casefold() not in IMAGE_COLUMNS}
    images = {
        name: [_image_path(value, source, row, name) for row, value in enumerate(table[name].to_pylist(), start=1)]
        for name in columns
        if name.casefold() in IMAGE_COLUMNS
    }
    return Items(ids, texts, images, data=data, restricted=restricted_items(table, source))


def _texts(column: pa.ChunkedArray) -> list[str]:
    return ["" if value is None else str(value) for value in column.to_pylist()]


def _shown(table: pa.Table, source: Path, show: Sequence[str] | None) -> list[str]:
    """The columns that a model sees. A column that nobody named is not shown: it may hold the answer."""
    there = [name for name in table.column_names if name != "item" and name.casefold() != RESTRICTED]
    if show is not None:
        missing = next((name for name in show if name not in there), None)
        if missing is not None:
            mend = f"name columns of the items in `show` of the rubric: {', '.join(there) or 'there are none'}"
            raise DataError(f"there is no column {missing!r} to show", mend=mend, source=str(source))
        return list(show)
    found = [name for name in there if name.casefold() in IMAGE_COLUMNS | {TEXT_COLUMN}]
    if found:
        return found
    words = [name for name in there if pa.types.is_string(t := table[name].type) or pa.types.is_large_string(t)]
    if len(words) == 1:
        return words
    mend = f"name them in the rubric, as `show: [{', '.join(words or there) or 'text'}]`"
    raise DataError("it is not clear which columns a model shall see", mend=mend, source=str(source))


def _image_path(value: object, source: Path, row: int, column: str) -> Path | None:
    """The file of an image that a cell names, which must lie in the folder of the table."""
    if value is None or not str(value).strip():
        return None
    name = str(value)
    if name.casefold().startswith(ADDRESSES):
        mend = "download the image beside the table: addresses of items are not opened"
        raise DataError(f"{name[:80]!r} is an address", mend=mend, source=str(source), row=row, column=column)
    try:
        path = _inside(source.parent / name, source.parent)
        with path.open("rb") as file:
            mime = mime_of(file.read(16))
    except SettingError as error:
        raise DataError(str(error), mend="move it there", source=str(source), row=row, column=column) from None
    except (OSError, ValueError) as error:
        mend = "give the path of an image from the folder of the table"
        problem = f"the image {name[:80]!r} cannot be opened ({getattr(error, 'strerror', None) or error})"
        raise DataError(problem, mend=mend, source=str(source), row=row, column=column) from None
    if mime is None:
        mend = "save it as PNG, JPEG, GIF or WebP"
        problem = f"{name[:80]!r} is no image that models read"
        raise DataError(problem, mend=mend, source=str(source), row=row, column=column)
    return path


def _inside(path: Path, folder: Path) -> Path:
    """The path, if it lies in the folder once links are followed."""
    found = path.resolve()
    if not found.is_relative_to(folder.resolve()):
        raise SettingError(f"{path.name!r} lies outside the folder of the items")
    return found
