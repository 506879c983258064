"""Spares the modules of `src` that have no example to run: pytest would import each of them to look for one."""

from pathlib import Path

SRC = Path(__file__).parent / "src"


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave a module of `src` out unless it has an example."""
    if collection_path.suffix == ".py" and SRC in collection_path.parents:
        return ">>> " not in collection_path.read_text(encoding="utf-8") or None
    return None
