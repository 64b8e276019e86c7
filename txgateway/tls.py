"""TLS on our own ports: the certificates as they were read, checked, and what Twisted listens with."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any


class Certificates:
    """What our ports speak TLS with: the files as they were last read, for every connection that comes from then on."""

    def __init__(self, cert: Path, key: Path, client_ca: Path | None, insist: bool = True) -> None:
        self.cert = cert
        self._files = (cert, key, client_ca, insist)
        self._options = server_context(*self._files)

    def reload(self) -> datetime:
        """Read the files anew; gives until when the certificate is good. ValueError: they stay as they were."""
        self._options = options = server_context(*self._files)
        return datetime.strptime(options.certificate.get_notAfter().decode(), "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)

    def getContext(self) -> Any:
        """Asked by Twisted for each connection."""
        return self._options.getContext()


def server_context(cert: Path, key: Path, client_ca: Path | None, insist: bool = True) -> Any:
    """The context factory of our ports: TLS 1.2 or later; with a CA only clients that have a certificate of it.

    With `insist` off a client may also have none at all.

    ValueError says, in a sentence, what is wrong with the files. OpenSSL is imported here and nowhere else of ours.
    """
    from OpenSSL import SSL, crypto
    from twisted.internet import ssl as twisted_ssl

    ssl: Any = twisted_ssl  # most of it has no types
    chain = _certificates(cert)
    try:
        private = ssl.KeyPair.load(key.read_bytes(), crypto.FILETYPE_PEM).original
    except (crypto.Error, ValueError, TypeError, OSError) as error:
        raise ValueError(f"{key} is no private key without a passphrase ({_why(error)})") from None
    clients: dict[str, Any] = {}
    if client_ca is not None and insist:
        authorities = [ssl.Certificate(each) for each in _certificates(client_ca)]
        clients = {"trustRoot": ssl.trustRootFromCertificates(authorities)}
    elif client_ca is not None:
        clients = {"verify": True, "requireCertificate": False, "caCerts": _certificates(client_ca)}
    options = ssl.CertificateOptions(
        privateKey=private,
        certificate=chain[0],
        extraCertChain=chain[1:],
        **clients,
        raiseMinimumTo=ssl.TLSVersion.TLSv1_2,
    )
    try:
        context = options.getContext()
        context.check_privatekey()
    except SSL.Error:
        raise ValueError(f"{key} is not the key of {cert}") from None
    return options


def _certificates(path: Path) -> list[Any]:
    """The certificates in a PEM file, the first its own."""
    from OpenSSL import crypto

    end = b"-----END CERTIFICATE-----"
    try:
        parts = [part + end for part in path.read_bytes().split(end)[:-1]]
        found = [crypto.load_certificate(crypto.FILETYPE_PEM, part) for part in parts]
    except (crypto.Error, ValueError, OSError) as error:
        raise ValueError(f"{path} cannot be read as certificates ({_why(error)})") from None
    if not found:
        raise ValueError(f"{path} has no certificate in it")
    return found


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
