"""Where the daemon listens: HTTP and the stream, and senders of signals, on a port of their own where one is set."""

from __future__ import annotations

from pathlib import Path
from socket import gethostname
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.logger import Logger

from txgateway.config import Config
from txgateway.tls import Certificates

log = Logger()


class Ports:
    """They speak TLS where it is configured, by the certificates as they were read last."""

    def __init__(self, config: Config, reactor: Any) -> None:
        self._config = config
        self._reactor = reactor
        self._http: Any = None
        self._stream: Any = None
        self._signals: Any = None
        self._tls: Certificates | None = None
        self._signals_tls: Certificates | None = None

    def listen(self, site: Any, stream: Any, senders: Any | None) -> None:
        """Bind them; `senders` has a port of its own, None: none. ValueError says which cannot be, and what to do."""
        config = self._config
        self._tls = self._certificates(config.tls_client_ca)
        self._http = self._bind(config.http_port, site, "HTTP_PORT", config.host, self._tls)
        self._stream = self._bind(config.tcp_port, stream, "TCP_PORT", config.host, self._tls)
        if config.webhook_port is not None:
            self._signals_tls = self._certificates(config.webhook_client_ca, insist=False)
            host = config.webhook_host or config.host
            self._signals = self._bind(config.webhook_port, senders, "WEBHOOK_PORT", host, self._signals_tls)

    @property
    def http(self) -> str:
        """`host:port` of HTTP, JSON-RPC and the WebSocket."""
        return f"{self._config.host}:{self._http.getHost().port}"

    @property
    def stream(self) -> str:
        """`host:port` of the stream."""
        return f"{self._config.host}:{self._stream.getHost().port}"

    @property
    def own_for_signals(self) -> str | None:
        """The address of the port that is senders' alone; None without one."""
        return None if self._signals is None else self._signals_at("0.0.0.0")

    def webhook_url(self) -> str:
        """Where senders of signals reach us: as configured, else by the address that we listen on."""
        return self._config.webhook_url or self._signals_at(gethostname())

    def _signals_at(self, anywhere: str) -> str:
        """The address of the port that signals come in by; `anywhere` for one that is all of this machine's."""
        config, port = self._config, self._signals or self._http
        host = (config.webhook_host if self._signals else "") or config.host
        host = anywhere if host in ("", "0.0.0.0", "::") else f"[{host}]" if ":" in host else host
        return f"{'http' if self._tls is None else 'https'}://{host}:{port.getHost().port}"

    def reload(self) -> None:
        """Read the certificates anew, for new connections; those that cannot be used leave the old ones in use."""
        for certificates in filter(None, (self._tls, self._signals_tls)):
            try:
                until = certificates.reload()
            except ValueError as error:
                log.critical("TLS: {error}; the certificate that was read before stays in use.", error=str(error))
            else:
                log.warn("TLS: {cert} was read anew, good until {until:%Y-%m-%d}.", cert=certificates.cert, until=until)

    async def stop(self) -> None:
        """Listen no more."""
        for port in filter(None, (self._signals, self._http, self._stream)):
            stopped = port.stopListening()
            if isinstance(stopped, Deferred):
                await stopped

    def _certificates(self, client_ca: Path | None, insist: bool = True) -> Certificates | None:
        """What a port of ours speaks TLS with, if it does."""
        config = self._config
        if config.tls_cert is None or config.tls_key is None:
            return None
        try:
            return Certificates(config.tls_cert, config.tls_key, client_ca, insist)
        except ValueError as error:
            raise ValueError(f"TLS: {error}; `txgateway certs make` makes files that fit.") from error

    def _bind(self, port: int, factory: Any, setting: str, host: str, tls: Certificates | None) -> Any:
        """Listen; gives the port."""
        try:
            if tls is None:
                return self._reactor.listenTCP(port, factory, interface=host, backlog=1024)
            return self._reactor.listenSSL(port, factory, tls, interface=host, backlog=1024)
        except CannotListenError as error:
            why = getattr(error.socketError, "strerror", None) or str(error.socketError)
            where = f"Port {port} on {host} cannot be bound ({why})"
            raise ValueError(f"{where}: stop what uses it, or set TXGATEWAY_{setting} to another.") from None
