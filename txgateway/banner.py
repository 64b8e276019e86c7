"""What a person is told who starts the daemon."""

from __future__ import annotations

from txgateway.config import Config


def banner(header: str, config: Config, http: str, stream: str, signals: str | None) -> str:
    """Where the daemon is, who may come in, and a first thing to try; `signals` is the address of a port for them."""
    venues = ", ".join(f"{venue.name} ({venue.kind})" for venue in config.venues)
    source = config.password_source
    where = f"file {config.generated_password_file}" if source == "default" else source
    path = config.generated_password_file if source == "default" else source
    word = f'$(cat "{path}")' if "/" in str(path) else f"${path}"
    tls = config.tls_cert is not None
    secure, ca = ("s", "--cacert CA.pem ") if tls else ("", "")
    ca += "--cert CLIENT.pem --key CLIENT-KEY.pem " if config.tls_client_ca is not None else ""
    client = "; clients need a certificate, too" if config.tls_client_ca is not None else ""
    return "\n".join(
        [
            f"{header}, venues: {venues}",
            f"  HTTP and JSON-RPC   http{secure}://{http}",
            f"  stream              {stream}",
            f"  WebSocket           ws{secure}://{http}/stream",
            *([f"  signals             {signals}/webhooks/"] if signals else []),
            *([f"  TLS                 on every port{client}"] if tls else []),
            f"  user                {config.username}",
            f"  password            {where}",
            f'  try                 curl {ca}-u "{config.username}:{word}" http{secure}://{http}/status',
        ]
    )
