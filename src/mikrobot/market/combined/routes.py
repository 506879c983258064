"""The routes of a combined source: which of its members each symbol is traded on.

The first member that lists a symbol is its member, unless the user names another one. Routes are recorded with the run,
so that no restart and no venue that lists a symbol later changes one.
"""

from collections.abc import Callable, Mapping, Sequence

from mikrobot.domain.errors import UnknownSymbol, UsageError
from mikrobot.domain.sources import AT, JOINT
from mikrobot.market.feed import Source

Open = Callable[[str, tuple[str, ...]], Source]
"""Returns the source of a name with some symbols; without any, with those that it has by default."""

_LOCAL = "-local"


def routes_of(
    members: Sequence[str], symbols: Sequence[str], chosen: Mapping[str, str], opened: Open
) -> dict[str, str]:
    """Return the member of each symbol, in the order of the symbols; of no symbols, those of the members.

    Parameters
    ----------
    members : sequence of str
    symbols : sequence of str
    chosen : mapping of str to str
        The members of symbols that the user names, or that a run has recorded; they are not asked.
    opened : callable

    Raises
    ------
    FeedError
        If a member does not respond, or does not trade a symbol at present that no member before it lists.
    UnknownSymbol
        If no member lists a symbol.
    UsageError
        If a symbol is given to a source that is no member.
    """
    if not symbols:
        listed: dict[str, str] = {}
        for member in members:
            for symbol in opened(member, ()).symbols():
                listed.setdefault(symbol, member)
        return listed
    return {
        symbol: _member(symbol, chosen[symbol], members) if symbol in chosen else _lister(symbol, members, opened)
        for symbol in symbols
    }


def _member(symbol: str, named: str, members: Sequence[str]) -> str:
    """Return the member that the user names; the genuine name of a venue also names a local one."""
    for name in (named, f"{named}{_LOCAL}"):
        if name in members:
            return name
    raise UsageError(f"{symbol}{AT}{named}: {named} is no member of the source {JOINT.join(members)}; name one of them")


def _lister(symbol: str, members: Sequence[str], opened: Open) -> str:
    for member in members:
        try:
            opened(member, (symbol,)).instruments()
        except UnknownSymbol:
            continue
        return member
    raise UnknownSymbol(f"{symbol}: none of {', '.join(members)} lists this symbol; give one that a member lists")
