"""How a judge is asked, kept in its folder: rubric, model, thinking, worked examples, prompts and settings.

All that decides an answer beside the item itself is here, so that the judge that amplifies is the judge that passed.
A judge chosen among recorded answers has a map, and nobody to ask.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from quorate.data.write import whole
from quorate.errors import FormatError
from quorate.judge.calibrate import Calibrated
from quorate.judge.folder import CALIBRATION, RUBRIC, JudgeFolder
from quorate.judge.maps import ScoreMap
from quorate.llm.calls import Job
from quorate.llm.items import Items
from quorate.llm.prompt import Prompts
from quorate.llm.rubric import Example, Rubric
from quorate.llm.rubric_file import read_rubric
from quorate.llm.settings import Settings
from quorate.llm.toolbox import Toolbox

ASKED, PROMPTS, TOOLS = "asked.json", "prompts", "tools"


@dataclass(frozen=True)
class Judge:
    """The judge of a folder."""

    name: str  # as its scores bear it
    model: str
    maps: Mapping[str, ScoreMap]
    rubric: Rubric | None = None  # None: chosen among recorded answers
    settings: Settings | None = None
    prompts: Path | None = None
    folder: Path | None = None  # where worked examples have their images

    @property
    def may_be_asked(self) -> bool:
        """Whether somebody can be asked about new items."""
        return self.rubric is not None

    def job(self, items: Items) -> Job:
        """What is asked about these items."""
        assert self.rubric is not None
        settings = self.settings or Settings()
        return Job(items, self.rubric, (self.model,), settings, Prompts(self.prompts), self.folder)

    def prompt_digest(self) -> str:
        """A name for everything that a prompt holds beside the item: 64 hexadecimal digits."""
        systems = [sheet.system for sheet in self.job(Items((), {}, {})).sheets(self.model)]
        examples = [asdict_example(each) for each in self.rubric.examples] if self.rubric else []
        tools = [list(each) for each in self.rubric.tools] if self.rubric else []
        said = [self.model, systems, examples, *([tools] if tools else [])]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def take_rubric(folder: JudgeFolder, path: Path) -> None:
    """Copy a rubric into the folder, with the files of its tools. Raises DataError where one is no use."""
    if path.resolve() == folder.file(RUBRIC).resolve():
        return
    rubric = read_rubric(path)
    Toolbox.read(rubric.tools, path.parent, rubric.rounds)  # before anything is copied
    shutil.rmtree(folder.file(TOOLS), ignore_errors=True)
    for declared, name in zip(rubric.tools, _tool_files(rubric), strict=True):
        folder.file(name).parent.mkdir(exist_ok=True)
        shutil.copyfile(path.parent / declared.file, folder.file(name))
    shutil.copyfile(path, folder.file(RUBRIC))


def rubric_of(folder: JudgeFolder, path: Path | None = None) -> Rubric:
    """The rubric of the folder (or of a file in it), its tools with the files that were copied along."""
    rubric = read_rubric(path or folder.file(RUBRIC))
    tools = zip(rubric.tools, _tool_files(rubric), strict=True)
    return replace(rubric, tools=tuple(declared._replace(file=name) for declared, name in tools))


def keep(
    folder: JudgeFolder,
    found: Calibrated,
    *,
    rubric: Rubric | None = None,
    examples: Sequence[Example] = (),
    settings: Settings | None = None,
    prompts: Path | None = None,
) -> list[str]:
    """Write the judge into its folder; the names of the files, for the log. `rubric`: of a judge that may be asked,
    as `rubric_of` gives it.
    """
    names = [CALIBRATION]
    _write(folder.file(CALIBRATION), found.to_json())
    kept = folder.file(PROMPTS)
    shutil.rmtree(kept, ignore_errors=True)
    folder.file(ASKED).unlink(missing_ok=True)
    if rubric is None:
        return names
    if prompts is not None:
        shutil.copytree(prompts, kept, ignore=lambda _, files: [each for each in files if not each.endswith(".jinja")])
    fields = {
        "model": found.chosen.model,
        "thinking": found.chosen.thinking,
        "examples": [asdict_example(each) for each in examples],
        "settings": asdict(settings or Settings()),
        "prompts": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(kept.glob("*.jinja"))},
    }
    _write(folder.file(ASKED), json.dumps(fields, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    return [*names, ASKED, RUBRIC, *(each.file for each in rubric.tools)]


def judge_of(folder: JudgeFolder) -> Judge:
    """The judge that was calibrated last. Raises FormatError or ArchiveError where its files were changed since."""
    standing = folder.standing()
    files = standing.last["calibrated"]["files"]
    found = Calibrated.from_json(folder.sealed(CALIBRATION, "calibrated").read_text("utf-8"))
    name = f"{found.chosen.name} v{standing.version}"
    if ASKED not in files:
        return Judge(name, found.chosen.name, found.maps)
    fields: dict[str, Any] = json.loads(folder.sealed(ASKED, "calibrated").read_text("utf-8"))
    rubric = rubric_of(folder, folder.sealed(RUBRIC, "calibrated"))
    for each in rubric.tools:
        folder.sealed(each.file, "calibrated")  # another glossary would be another judge
    examples = tuple(Example(**each) for each in fields["examples"])
    rubric = replace(rubric, thinking=fields["thinking"], examples=examples or rubric.examples)
    prompts = _prompts(folder.file(PROMPTS), fields["prompts"])
    return Judge(name, fields["model"], found.maps, rubric, Settings(**fields["settings"]), prompts, folder.path)


def asdict_example(example: Example) -> dict[str, Any]:
    """As JSON holds it."""
    return {**example._asdict(), "fields": dict(example.fields), "labels": dict(example.labels)}


def _tool_files(rubric: Rubric) -> list[str]:
    """What the files of a rubric's tools are called in the folder, in order."""
    return [f"{TOOLS}/{number}-{Path(each.file).name}" for number, each in enumerate(rubric.tools, start=1)]


def _prompts(path: Path, digests: Mapping[str, str]) -> Path | None:
    for name, digest in digests.items():
        there = (path / name).is_file()
        if not there or hashlib.sha256((path / name).read_bytes()).hexdigest() != digest:
            problem = "this prompt is not the one that was calibrated with"
            raise FormatError(problem, mend="restore it, or calibrate again", source=str(path / name))
    return path if digests else None


def _write(path: Path, text: str) -> None:
    with whole(path) as part:
        part.write_text(text, "utf-8", newline="\n")
