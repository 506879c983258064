"""The broker's name of a symbol: the symbol itself, another name of it, or one with a suffix or prefix."""

from mikrobot.domain.errors import UnknownSymbol, UsageError
from mikrobot.domain.instruments import registry
from mikrobot.market.mt5.terminal import Terminal
from mikrobot.market.names import symbols_in

_LISTED, _WATCHED = {"name": str}, {"select": bool}
_SHOWN = 5


def name_at_broker(terminal: Terminal, symbol: str) -> str:
    """Return the name by which the broker lists a symbol, as EURUSDm.

    Parameters
    ----------
    terminal : Terminal
    symbol : str

    Raises
    ------
    UnknownSymbol
        If the broker does not list it.
    UsageError
        If several names are of that symbol, and not just one of them is in the Market Watch.
    """
    aliases = registry.entry(symbol).aliases if registry.is_known(symbol) else ()
    for name in (symbol, *aliases):
        if terminal.info(name, _LISTED) is not None:
            return name
    names = [name for part in (symbol, *aliases) for name in terminal.names(part) if symbols_in(name) == [symbol]]
    names = list(dict.fromkeys(names))
    if len(names) > 1:
        watched = [name for name in names if (terminal.info(name, _WATCHED) or {}).get("select")]
        if len(watched) != 1:
            raise UsageError(
                f"{symbol}: the broker lists {', '.join(names[:_SHOWN])}; show the one to trade in the Market Watch of "
                "the terminal, and hide the others"
            )
        names = watched
    if not names:
        raise UnknownSymbol(
            f"{symbol}: the broker lists no such symbol; View > Symbols in the terminal shows those that it has"
        )
    return names[0]
