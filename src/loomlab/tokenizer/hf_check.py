"""What can be wrong with the settings of `tokenizer=hf`; needs no heavy import."""

from typing import Any


def problems(settings: dict[str, Any]) -> list[str]:
    """What is wrong, in words; an empty list if all is well."""
    if (settings.get("name") is None) == (settings.get("package") is None):
        return [
            "name: tokenizer=hf needs exactly one of tokenizer.name (a hub name or a local "
            "folder) and tokenizer.package (as in tokenizer=minilm)"
        ]
    if settings.get("package") and not settings.get("package_path"):
        return ["package_path: tokenizer.package needs the folder or GGUF file inside the package"]
    return []
