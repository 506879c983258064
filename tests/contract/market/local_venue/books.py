"""A local order book by the rules of Binance, for the tests."""


def levels_of(rows):
    return {float(price): float(size) for price, size in rows}


class Book:
    """A local order book by Binance's rules, which refuses a gap."""

    def __init__(self, market, snapshot):
        self.market = market
        self.last = snapshot["lastUpdateId"]
        self.joined = False
        self.sides = {
            side: {float(p): float(q) for p, q in snapshot[name]} for side, name in (("b", "bids"), ("a", "asks"))
        }

    def apply(self, diff):
        """Apply a diff; return False if it is older than the snapshot."""
        if self.market == "spot":
            if diff["u"] <= self.last:
                return False
            assert diff["U"] <= self.last + 1, f"gap before {diff['U']}"
        elif not self.joined:
            if diff["u"] < self.last:
                return False
            assert diff["pu"] <= self.last <= diff["u"]
        else:
            assert diff["pu"] == self.last
        self.joined = True
        self.last = diff["u"]
        for side, levels in self.sides.items():
            for price, size in diff[side]:
                levels[float(price)] = float(size)
                if float(size) == 0:
                    del levels[float(price)]
        return True

    def best(self):
        bid, ask = max(self.sides["b"]), min(self.sides["a"])
        return bid, self.sides["b"][bid], ask, self.sides["a"][ask]


def best_of(ticker):
    return tuple(float(ticker[key]) for key in "bBaA")


def compare(book, messages):
    """Apply the diffs among messages, and compare the best prices and sizes after each with the bookTicker.

    The bookTicker of a diff is the last one with an id of at most that of the diff, whenever it arrived. Returns the
    number of comparisons; a diff that ends after the last bookTicker is not compared.
    """
    tickers = {message["u"]: message for message in messages if "B" in message}
    compared = 0
    for diff in messages:
        if "B" in diff or not book.apply(diff):
            continue
        bid, _, ask, _ = book.best()
        assert bid < ask
        if diff["u"] <= max(tickers):
            assert book.best() == best_of(tickers[max(number for number in tickers if number <= diff["u"])])
            compared += 1
    return compared
