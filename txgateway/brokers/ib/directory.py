"""The contracts of one link: which one a written form means, and how one that TWS tells of is written."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from ib_async import Contract, ContractDetails

from txgateway.brokers.ib import contracts
from txgateway.brokers.ib.contracts import by_number, number
from txgateway.model.errors import Reason, Refused

MOST_HINTS = 1000


class Directory:
    """`look` asks IB for what fits some terms; `primary` has exchanges by symbol, and may change."""

    def __init__(
        self,
        venue: str,
        look: Callable[[Contract], Awaitable[list[ContractDetails]]],
        primary: Mapping[str, str],
        crypto: str,
        complain: Callable[[str], None],
    ) -> None:
        self._venue = venue
        self._look = look
        self._primary = primary
        self._crypto = crypto
        self._complain = complain
        self._found: dict[str, ContractDetails] = {}
        self._names: dict[int, str] = {}
        self._hints: dict[str, str] = {}

    def known(self, symbol: str) -> bool:
        """Whether a symbol is found without asking."""
        return symbol in self._found

    def hint(self, symbol: str) -> str:
        """What to write instead of a form that means no contract, or several, as the end of a sentence."""
        said = self._hints.get(symbol) or contracts.instead(symbol)
        if not said and contracts.parse(symbol, {}, self._crypto) is None:
            return f"write it as one of {contracts.FORMS}."
        return said

    async def find(self, symbol: str) -> ContractDetails | None:
        """The contract of a written form. None, said why, where there is none, several, or it is written otherwise."""
        if symbol in self._found:
            return self._found[symbol]
        asked = contracts.parse(symbol, self._primary, self._crypto)
        rows = await self._look(asked) if asked is not None else []
        if len(rows) > 1:
            self._not(symbol, f"may be several contracts: {_several(rows)}; name one by its number, or {_SET}")
            return None
        if not rows and asked is not None and asked.primaryExchange:
            self._not(symbol, f"has no contract at {asked.primaryExchange}, its primary exchange here: see {_SET}")
            return None
        if not rows:
            self._hints.pop(symbol, None)
            return None
        (found,) = rows
        name = await self._name_of(found, symbol)
        if name != symbol:
            self._not(symbol, f"is written {name} here: use that name")
            return None
        self._names[number(found)] = symbol
        self._found[symbol] = found
        return found

    def _not(self, symbol: str, why: str) -> None:
        while len(self._hints) >= MOST_HINTS:
            del self._hints[next(iter(self._hints))]
        self._hints[symbol] = f"it {why}."
        self._complain(f"{symbol} {why}")

    async def _name_of(self, details: ContractDetails, known: str = "") -> str:
        """The one form of a contract: its own, unless IB takes that for another or for several."""
        assert details.contract is not None
        form = contracts.written(details)
        if form == known or form.startswith("#"):
            return form
        asked = contracts.parse(form, self._primary, self._crypto)
        rows = await self._look(asked) if asked is not None else []
        one = len(rows) == 1 and number(rows[0]) == number(details)
        return form if one else by_number(details.contract)

    async def name(self, contract: Contract) -> str:
        """How a contract that TWS tells of is written."""
        known = self.name_known(contract)
        if known:
            return known
        rows = await self._look(Contract(conId=contract.conId))
        name = await self._name_of(rows[0]) if rows else by_number(contract)
        self._names[contract.conId] = name
        return name

    def name_known(self, contract: Contract) -> str:
        """The same, if it is known without asking; else empty."""
        return self._names.get(contract.conId, "")

    def forget(self, symbol: str) -> None:
        """A symbol's primary exchange was changed: look it up again, and how what it may mean is written."""
        self._found.pop(symbol, None)
        self._hints.pop(symbol, None)
        for con_id in [con_id for con_id, name in self._names.items() if name == symbol or name.startswith("#")]:
            del self._names[con_id]

    async def renames(self, symbol: str, exchange: str) -> Sequence[str]:
        """The names that mean another contract, or none, once a stock's primary exchange is this one (empty: none).

        Refused where there is no such stock at that exchange.
        """
        asked = contracts.parse(symbol, {symbol: exchange}, self._crypto)
        if asked is None or asked.secType != "STK":
            text = f"{symbol} is no symbol of a stock: only stocks have a primary exchange, as in `IBM` or `SHOP-CAD`."
            raise Refused(Reason.UNKNOWN_SYMBOL, text)
        now, rows = await self.find(symbol), await self._look(asked)
        if exchange and len(rows) != 1:
            raise Refused(Reason.UNKNOWN_SYMBOL, await self._not_there(symbol, exchange))
        then = rows[0] if len(rows) == 1 else None
        if now is not None and then is not None and number(now) == number(then):
            return ()
        return [symbol] if then is None or then.contract is None else [symbol, by_number(then.contract)]

    async def _not_there(self, symbol: str, exchange: str) -> str:
        asked = contracts.parse(symbol, {}, self._crypto)
        rows = await self._look(asked) if asked is not None else []
        where = ", ".join(sorted({each.contract.primaryExchange for each in rows if each.contract} - {""}))
        text = f"Venue {self._venue} has no one stock {symbol} whose primary exchange is {exchange[:20]!r}"
        return f"{text}: it has one at {where}." if where else f"{text}, nor at any other."


_SET = "set_primary_exchange"


def _several(rows: Sequence[ContractDetails]) -> str:
    """What there is to choose from."""
    shown = [(each.contract, each.longName) for each in rows[:5] if each.contract is not None]
    return ", ".join(
        f"{by_number(contract)} ({', '.join(filter(None, (name, contract.primaryExchange)))})"
        for contract, name in shown
    )
