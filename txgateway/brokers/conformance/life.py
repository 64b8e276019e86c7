"""C01 to C09: a broker's life."""

from __future__ import annotations

from datetime import timedelta

from txgateway.brokers import Can
from txgateway.brokers.conformance.case import case
from txgateway.brokers.conformance.trial import Trial, require
from txgateway.model.errors import Refused
from txgateway.model.events import VenueStatus, VenueStatusChanged


@case(1)
async def built_and_not_started(trial: Trial) -> None:
    """A broker that was built and not started tells nothing: the desk builds all rooms before any of them lives."""
    await trial.still()
    require(trial.broker.venue, "it has no venue")
    require(not trial.told, f"it told {trial.story()} before it was started")


@case(2)
async def start_connects_then_may_be_asked(trial: Trial) -> None:
    """A start reports CONNECTING, then RECONCILING, and never UP: only the desk, once reconciled, calls a venue up."""
    await trial.begin()
    await trial.still()
    seen = trial.statuses()
    wanted = [VenueStatus.CONNECTING, VenueStatus.RECONCILING]
    require(seen == wanted, f"it reported {seen}, not {wanted}")
    venues = {each.venue for each in trial.told if isinstance(each, VenueStatusChanged)}
    require(venues == {trial.broker.venue}, f"it reported for {venues}, not for its venue {trial.broker.venue}")


@case(3)
async def a_second_start_is_harmless(trial: Trial) -> None:
    """A start of what runs does nothing: a person may log on twice, and a second connection would trade twice."""
    await trial.begin()
    since = len(trial.told)
    trial.broker.startService()
    await trial.still()
    require(not trial.statuses(since), f"the second start reported {trial.statuses(since)}")


@case(4)
async def stop_ends_with_down(trial: Trial) -> None:
    """A stop reports DOWN last and tells nothing after it, and a second one is harmless: what is down is silent."""
    await trial.begin()
    trial.broker.subscribe(trial.subject.symbol)
    await trial.stop()
    await trial.until(lambda: trial.statuses()[-1] is VenueStatus.DOWN, "it reports DOWN")
    since = len(trial.told)
    await trial.stop()
    await trial.still()
    after = [each for each in trial.told[since:] if getattr(each, "status", None) is not VenueStatus.DOWN]
    require(not after, f"after its end it told {after}")


@case(5, Can.LIMIT)
async def it_can_be_started_again(trial: Trial) -> None:
    """After a stop it can be started again: venues are reset daily, and by hand."""
    await trial.begin()
    await trial.stop()
    since = len(trial.told)
    trial.broker.startService()
    await trial.connected(since)
    order = await trial.rest()
    require(await trial.reported(order), "an order sent after the second start is not among the open ones")


@case(6, Can.LIMIT)
async def what_is_not_connected_refuses(trial: Trial) -> None:
    """Without a connection an order is Refused and never arrives: that alone lets the desk call it rejected."""
    await trial.begin()
    await trial.stop()
    order, refused = trial.order(), False
    try:
        await trial.ask(trial.broker.submit(order))
    except Refused:
        refused = True
    require(refused, "it took an order while it was stopped")
    since = len(trial.told)
    trial.broker.startService()
    await trial.connected(since)
    await trial.still()
    require(await trial.reported(order) is None, "the refused order arrived all the same")


@case(7)
async def accounts_are_known(trial: Trial) -> None:
    """Its accounts are known once RECONCILING is reported: an order's account finds the venue."""
    broker = await trial.begin()
    names = list(broker.accounts())
    require(trial.subject.account in names, f"{trial.subject.account} is not among its accounts {names}")
    require(len(set(names)) == len(names), f"an account is there twice: {names}")


@case(8)
async def its_clock_is_aware_and_never_goes_back(trial: Trial) -> None:
    """`now` is aware UTC and never goes back: trading days and the age of a price are counted by it."""
    broker = await trial.begin()
    times = []
    for _ in range(10):
        times.append(broker.now())
        await trial.subject.pause()
    require(all(each.utcoffset() == timedelta(0) for each in times), f"{times[0]!r} is not aware UTC")
    require(times == sorted(times), f"it went back: {[each.isoformat() for each in times]}")


@case(9)
async def it_stops_before_it_ever_started(trial: Trial) -> None:
    """A stop of what was never started is harmless: a daemon may end while it begins."""
    await trial.stop()
    require(VenueStatus.RECONCILING not in trial.statuses(), "a stop connected it")
