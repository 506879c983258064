"""How bar files are read where their content and name do not show it: by options, or by the settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mikrobot.domain.errors import UsageError
from mikrobot.market.clocks import Decided, clock_of
from mikrobot.settings import Settings


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read files that do not show it themselves; None: by their name and content.

    Attributes
    ----------
    clock : str or None
        Clock of files whose vendor fixes none; see `clocks.clock_of`.
    symbol : str or None
    format : str or None
        Name of a format of `formats.registry`.
    ticks : bool
        The files hold ticks or trades, which are aggregated to M1 bars.
    folder_clocks : mapping of Path to str
        Clock of the files below a folder, where no `clock` is given; the innermost folder decides.
    """

    clock: str | None = None
    symbol: str | None = None
    format: str | None = None
    ticks: bool = False
    folder_clocks: Mapping[Path, str] = field(default_factory=dict)

    def clock_of(self, path: Path) -> Decided | None:
        """Return the clock that is named for a file; None if none is.

        Raises
        ------
        UsageError
            If a name is no clock.
        """
        folder = next((folder for folder in path.resolve().parents if folder in self.folder_clocks), None)
        if folder is not None:
            return Decided(clock_of(self.folder_clocks[folder]), f"named by data_clocks for {folder}")
        return None if self.clock is None else Decided(clock_of(self.clock), "named by --clock or data_clock")


def reading_of(settings: Settings) -> Reading:
    """Return how the settings say that files are read.

    Raises
    ------
    UsageError
        If a clock is unknown, or a folder with a clock does not exist.
    """
    if settings.data_clock is not None:
        clock_of(settings.data_clock)
    folders = {Path(folder): name for folder, name in settings.data_clocks.items()}
    for folder, name in folders.items():
        try:
            clock_of(name)
        except UsageError as error:
            raise UsageError(f"data_clocks, {folder}: {error}") from error
        if not folder.is_dir():
            raise UsageError(f"data_clocks has the clock of {folder}, which is no folder; correct or remove it")
    return Reading(settings.data_clock, settings.data_symbol, settings.data_format, settings.data_ticks, folders)
