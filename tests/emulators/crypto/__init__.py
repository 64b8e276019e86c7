"""What the emulated exchanges share: instruments, a market, matching, money, faults, control, process.

A venue is a folder beside this one, which has only its wire: a subclass of `server.Emulator` that gives `instruments`,
`answer` (REST), `joined` and `received` (WebSocket), `told` (private streams), `market_moved` (public streams),
`too_many`, `unknown` and `forget`; a `__main__` that calls `process.main(TheEmulator)`. It shares no code with
txgateway or ccxt.

In tests: `emulator = TheEmulator(Options(tick=0)); emulator.start()` inside a running asyncio loop (the reactor's is
one), `Control(emulator)` has the control commands as methods, `await emulator.stop()` ends it.
`process.Process("binance", "--tick", "0").start()` is a process with `do(command, …)`.
"""
