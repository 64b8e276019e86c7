"""A desk that takes signals: memory journal, a clock that tests move, a broker whose answers tests choose."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred

from tests.desk import Bench, D, outcome
from txgateway.carrier import Carrier
from txgateway.feed import Feed
from txgateway.model.market import Quote
from txgateway.model.signal import Answer, Signal, Source, SourceKind
from txgateway.signaling import Signaling
from txgateway.signals import Post
from txgateway.signals.generic import Generic

SECRET = "open sesame"
TV = Source(name="tv", kind=SourceKind.GENERIC, account="ACC", secret=SECRET)


class House:
    """A bench with its signaling; `restart` builds another on the same journal and broker, as after kill -9."""

    def __init__(self, *sources: Source, bench: Bench | None = None, languages: Any = None) -> None:
        self.bench = bench or Bench()
        self.sources = {each.name: each for each in sources or (TV,)}
        bench = self.bench
        self.feed = Feed({"paper": bench.broker}, "paper", bench.clock, lambda moment: moment.date())
        bench.broker.subscribe = self.quote  # type: ignore[method-assign]
        self.languages = languages or {SourceKind.GENERIC: Generic()}
        new_id = bench.gateway._desk.new_id
        self.carrier = Carrier(
            bench.gateway,
            self.feed,
            {"paper": bench.broker},
            self.sources.get,
            bench.clock,
            bench.now,
            new_id,
        )
        self.signaling = Signaling(
            bench.gateway,
            {"paper": bench.broker},
            self.sources,  # type: ignore[arg-type]
            self.languages,
            bench.journal,
            self.carrier,
            bench.now,
            new_id,
        )
        self.carrier.start()

    def quote(self, symbol: str, bid: str = "99.99", ask: str = "100.01") -> None:
        """The market shows a price."""
        self.feed.report("paper", Quote(symbol, D(bid), D(500), D(ask), D(500), self.bench.now()))

    def up(self) -> House:
        """Connect the broker and let it be reconciled."""
        self.bench.up()
        return self

    def restart(self) -> House:
        """What is on disk, with the same counterparty."""
        return House(*self.sources.values(), bench=self.bench.restart(), languages=self.languages)

    def begin(self, source: str = "tv", **body: Any) -> Deferred[Answer]:
        """Post a signal; what it is answered."""
        headers = {"authorization": f"Bearer {SECRET}"}
        post = Post(json.dumps(body).encode(), self.bench.now(), headers=headers, host="10.0.0.1")
        return Deferred.fromCoroutine(self.signaling.receive(self.sources[source], post))

    def send(self, source: str = "tv", **body: Any) -> Signal:
        """Post a signal, and let all happen that follows; the signal as it stands then."""
        done = self.begin(source, **body)
        self.bench.turn()
        outcome(done)
        return self.signal

    def answer(self, source: str = "tv", **body: Any) -> Answer:
        """Post a signal; what it is answered."""
        done = self.begin(source, **body)
        self.bench.turn()
        answer: Answer = outcome(done)
        return answer

    @property
    def signal(self) -> Signal:
        """The latest."""
        return list(self.bench.gateway.state.strategies.signals.values())[-1]

    @property
    def sent(self) -> list[tuple[str, Any, str]]:
        """Side, quantity and symbol of all that the broker was sent."""
        return [(each.side.value, each.quantity, each.symbol) for each in self.bench.broker.sent]

    def held(self, strategy: str = "", symbol: str = "IBM") -> Any:
        """What a strategy holds."""
        standing = self.carrier.standing
        return standing.held(standing.at("ACC", symbol, "tv", strategy))
