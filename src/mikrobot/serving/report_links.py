"""HTTP addresses of reports.

The prediction service serves the reports, because browsers do not follow a link from a web page to a local file.
"""

from pathlib import Path
from urllib.parse import quote

from mikrobot.domain.errors import UsageError
from mikrobot.settings import Settings

ROUTE = "reports"
"""URL path under which the prediction service serves the reports."""


def folder(settings: Settings) -> Path:
    """Return the folder of all reports; files outside it are not served."""
    return settings.home / "reports"


def address(settings: Settings, path: str | Path) -> str:
    """Return the HTTP address of a report.

    Raises
    ------
    UsageError
        If the file is not in the reports folder.

    >>> address(Settings(home=Path("/state")), "/state/reports/20250314/report.html")
    'http://127.0.0.1:3300/reports/20250314/report.html'
    """
    root = folder(settings)
    if not Path(path).is_relative_to(root):
        raise UsageError(f"{path} is not in {root}, only reports there have an address")
    return f"{settings.bento_url}/{ROUTE}/{quote(Path(path).relative_to(root).as_posix())}"
