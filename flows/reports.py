"""Links to reports, as Prefect's artifacts."""

from prefect.artifacts import create_link_artifact

from mikrobot import settings as configuration
from mikrobot.serving.report_links import address


def link(key: str, path: str, text: str) -> str:
    """Keep a link to a report as an artifact; return its address."""
    url = address(configuration.load(), path)
    create_link_artifact(key=key, link=url, link_text=text)
    return url
