"""TLS from a client's side, for Twisted: whom we trust, and the certificate we show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .settings import Settings, SettingsError


def client_options(settings: Settings, host: str) -> Any:
    """What a connection to this host is secured with. Raises SettingsError for files that are something else."""
    from OpenSSL import SSL, crypto
    from twisted.internet import ssl as twisted_ssl

    ssl: Any = twisted_ssl  # most of it has no types
    trust, certificate = None, None
    what = f"TLS_CA={settings.tls_ca}"
    try:
        if settings.tls_ca:
            end = b"-----END CERTIFICATE-----"
            parts = [part + end for part in Path(settings.tls_ca).read_bytes().split(end)[:-1]]
            if not parts:
                raise ValueError("no certificate is in it")
            trust = ssl.trustRootFromCertificates([ssl.Certificate.loadPEM(part) for part in parts])
        if settings.client_cert:
            what = f"CLIENT_CERT={settings.client_cert}, CLIENT_KEY={settings.client_key}"
            pem = Path(settings.client_key).read_bytes() + b"\n" + Path(settings.client_cert).read_bytes()
            certificate = ssl.PrivateCertificate.loadPEM(pem)
        return ssl.optionsForClientTLS(host, trustRoot=trust, clientCertificate=certificate)
    except (crypto.Error, SSL.Error, ValueError, OSError) as error:
        raise SettingsError(f"{what} cannot be used for TLS ({str(error) or type(error).__name__})") from error


def secured(settings: Settings, endpoint: Any) -> Any:
    """The endpoint, with TLS around it where the protocol is https."""
    if settings.protocol != "https":
        return endpoint
    from twisted.internet.endpoints import wrapClientTLS

    return wrapClientTLS(client_options(settings, settings.host.strip("[]")), endpoint)
