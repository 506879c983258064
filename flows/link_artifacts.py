"""Links to reports as Prefect artifacts."""

from prefect.artifacts import create_link_artifact

from mikrobot import settings as configuration
from mikrobot.serving.report_links import address


def link(key: str, path: str, text: str) -> str:
    """Create a link artifact for a report; return its address."""
    url = address(configuration.load(), path)
    create_link_artifact(key=key, link=url, link_text=text)
    return url
