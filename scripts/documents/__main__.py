"""`make docs`: write every generated file, and name those that changed."""

from __future__ import annotations

from scripts.documents import ROOT, documents


def main() -> None:
    """Write the files whose text differs."""
    for name, text in documents().items():
        path = ROOT / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {name}")


main()
