"""A private CA for a start, and `txgateway certs …`: certificates for the server and for clients."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socket import gethostname
from typing import Any

import click

from txgateway import config
from txgateway.config import ConfigError

FOLDER = "tls"
CA, SERVER, CLIENT = "ca", "server", "client"
CA_DAYS, DAYS = 3650, 825
"""How long the CA's certificate is good, and the others'."""


def make(folder: Path, hosts: Sequence[str], clients: Sequence[str], now: datetime) -> list[Path]:
    """Make a server's certificate for these hosts, and a client's for each name, by the folder's CA (made if absent).

    Gives the files that were written; keys are for this user of the machine alone. ValueError: a name cannot be used.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    written: list[Path] = []
    if not (folder / f"{CA}.key").exists():
        written += _make_ca(folder, now)
    if hosts:
        written += _make_leaf(folder, SERVER, hosts[0], _names(hosts), now)
    for name in clients:
        written += _make_leaf(folder, CLIENT if name == CLIENT else f"{CLIENT}-{name}", name, (), now)
    return written


def _names(hosts: Sequence[str]) -> Sequence[Any]:
    """What a client may call the server by."""
    from cryptography import x509

    found: list[Any] = []
    for host in hosts:
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            found.append(x509.DNSName(host.encode("idna").decode()))
    return found


def _make_ca(folder: Path, now: datetime) -> list[Path]:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = _subject(f"txgateway CA of {gethostname()}"[:64])
    builder = _builder(name, name, key.public_key(), now, CA_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs=True), critical=True)
    return _write(folder, CA, _signed(builder, key), key)


def _make_leaf(folder: Path, file: str, name: str, names: Sequence[Any], now: datetime) -> list[Path]:
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID

    ca = x509.load_pem_x509_certificate((folder / f"{CA}.pem").read_bytes())
    ca_key: Any = serialization.load_pem_private_key((folder / f"{CA}.key").read_bytes(), None)
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(_subject(name), ca.subject, key.public_key(), now, DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(signs=False), critical=True)
    what = ExtendedKeyUsageOID.SERVER_AUTH if names else ExtendedKeyUsageOID.CLIENT_AUTH
    builder = builder.add_extension(x509.ExtendedKeyUsage([what]), critical=False)
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    builder = builder.add_extension(issuer, critical=False)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return _write(folder, file, _signed(builder, ca_key), key)


def _subject(name: str) -> Any:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(subject: Any, issuer: Any, key: Any, now: datetime, days: int) -> Any:
    from cryptography import x509

    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(hours=1))
    builder = builder.not_valid_after(now + timedelta(days=days))
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)


def _usage(signs: bool) -> Any:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _signed(builder: Any, key: Any) -> Any:
    from cryptography.hazmat.primitives import hashes

    return builder.sign(key, hashes.SHA256())


def _write(folder: Path, file: str, certificate: Any, key: Any) -> list[Path]:
    from cryptography.hazmat.primitives import serialization

    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    key_bytes = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    written = []
    for path, data, mode in (
        (folder / f"{file}.key", key_bytes, 0o600),
        (folder / f"{file}.pem", certificate.public_bytes(pem), 0o644),
    ):
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as out:
            out.write(data)
        written.append(path)
    return written


def shown(folder: Path, now: datetime) -> Iterator[str]:
    """A line for each certificate in the folder: for whom, until when, its fingerprint."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    for path in sorted(folder.glob("*.pem")):
        try:
            certificate = x509.load_pem_x509_certificate(path.read_bytes())
        except ValueError:
            yield f"{path}: is no certificate"
            continue
        until = certificate.not_valid_after_utc
        left = "EXPIRED" if until <= now else f"{(until - now).days} days left"
        try:
            names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            hosts = f" for {', '.join(str(each.value) for each in names)}"
        except x509.ExtensionNotFound:
            hosts = ""
        fingerprint = certificate.fingerprint(hashes.SHA256()).hex(":")
        name = certificate.subject.rfc4514_string()
        yield f"{path}: {name}{hosts}, until {until:%Y-%m-%d} ({left}), SHA-256 {fingerprint}"


# ---------------------------------------------------------------- txgateway certs …


@click.group()
def certs() -> None:
    """A private CA for a start: TLS for the daemon, and certificates for its clients."""


@certs.command("make")
@click.option("--host", "hosts", multiple=True, help="What clients call the server by; again for more.")
@click.option("--client", "clients", multiple=True, help="A client's name; again for more. [default: client]")
@click.option("--force", is_flag=True, help="Make the server's certificate anew although there is one; the CA stays.")
def make_(hosts: tuple[str, ...], clients: tuple[str, ...], force: bool) -> None:
    """Make a CA, a server's certificate and a client's in the data folder, and say how to use them.

    Once there are some, only what is named by --client is added; with --force the server's certificate is made anew.
    """
    folder = _folder()
    known = ["localhost", "127.0.0.1", "::1", gethostname()]
    first = not (folder / f"{SERVER}.pem").exists()
    if not (first or force or clients):
        raise click.ClickException(
            f"{folder} has certificates: --client NAME adds one, --force makes the server's anew."
        )
    for name in (*hosts, *clients):
        if not name or len(name) > 64 or any(each in "/\\ \0" for each in name) or name.startswith((".", "-")):
            raise click.ClickException(
                f"{name!r} is no name for a certificate: 1 to 64 characters without / and space."
            )
    existing = [name for name in clients if (folder / f"{CLIENT}-{name}.pem").exists()]
    if existing and not force:
        raise click.ClickException(f"{existing[0]} has a certificate already: --force makes it anew.")
    wanted = [*hosts, *(each for each in known if each not in hosts)] if first or force or hosts else []
    names = clients or ((CLIENT,) if first else ())
    try:
        written = make(folder, wanted, names, datetime.now(UTC))
    except (ValueError, OSError) as error:
        raise click.ClickException(f"{folder}: {error}") from None
    for path in written:
        click.echo(path)
    click.echo(
        f"\nthe daemon:  TXGATEWAY_TLS_CERT={folder / SERVER}.pem TXGATEWAY_TLS_KEY={folder / SERVER}.key"
        f"\n             TXGATEWAY_TLS_CLIENT_CA={folder / CA}.pem   only clients with a certificate of this CA"
        f"\nclients:     TXGATEWAY_PROTOCOL=https TXGATEWAY_TLS_CA={folder / CA}.pem"
        f"\n             TXGATEWAY_CLIENT_CERT={folder / CLIENT}.pem TXGATEWAY_CLIENT_KEY={folder / CLIENT}.key"
        f"\nKeep {folder / CA}.key to yourself: whoever has it can be anybody."
    )


@certs.command("show")
def show() -> None:
    """Show the certificates in the data folder: for whom, until when, and their fingerprints."""
    folder = _folder()
    lines = list(shown(folder, datetime.now(UTC)))
    if not lines:
        raise click.ClickException(f"There are no certificates in {folder}: `txgateway certs make` makes some.")
    click.echo("\n".join(lines))


def _folder() -> Path:
    try:
        return config.load(_environ()).data_dir / FOLDER
    except ConfigError as error:
        raise click.ClickException(str(error)) from None


def _environ() -> dict[str, str]:
    """The environment without what is about to be made, which need not be there yet."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TXGATEWAY_TLS_")}
    return {**environ, "TXGATEWAY_ALLOW_INSECURE": "1"}
