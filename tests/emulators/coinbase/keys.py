"""The API keys of the two venues, and how each of their requests is proven. Pure.

Advanced Trade takes a legacy key (HMAC), or a CDP key: a JWT signed by ECDSA (ES256) or Ed25519 (EdDSA).
Exchange takes a key with a passphrase (HMAC, base64).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

OLD = 30
"""Seconds that a request's timestamp may be away from the server's."""


class Unproven(Exception):
    """The request is not of somebody who has the key; the reason as the venue words it."""


def digest(secret: bytes, text: str) -> bytes:
    """HMAC-SHA256."""
    return hmac.new(secret, text.encode(), hashlib.sha256).digest()


def _integer(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest(), "big") >> 1


def _unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass(frozen=True, slots=True)
class Keys:
    """All that the owner of an account may sign with: always the same for the same key and secret."""

    key: str
    """The name of the legacy key, and of that of Exchange."""
    secret: str
    """The legacy key's secret."""
    passphrase: str = ""
    """That of the Exchange key."""

    @property
    def secret64(self) -> str:
        """The secret of the Exchange key: base64."""
        return base64.b64encode(self.secret.encode()).decode()

    @property
    def cdp(self) -> str:
        """The name of the CDP key that signs by ECDSA."""
        return f"organizations/{self.key}/apiKeys/es256"

    @property
    def cdp_secret(self) -> str:
        """Its private key, as PEM."""
        kind, form = serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL
        return self._ecdsa.private_bytes(kind, form, serialization.NoEncryption()).decode()

    @property
    def cdp2(self) -> str:
        """The id of the CDP key that signs by Ed25519."""
        return f"{self.key}-ed25519"

    @property
    def cdp2_secret(self) -> str:
        """Its private key: base64 of seed and public key."""
        kind, form = serialization.Encoding.Raw, serialization.PublicFormat.Raw
        return base64.b64encode(self._seed + self._eddsa.public_key().public_bytes(kind, form)).decode()

    @property
    def _ecdsa(self) -> ec.EllipticCurvePrivateKey:
        return ec.derive_private_key(_integer(self.secret), ec.SECP256R1())

    @property
    def _seed(self) -> bytes:
        return hashlib.sha256(f"{self.secret} ed25519".encode()).digest()

    @property
    def _eddsa(self) -> ed25519.Ed25519PrivateKey:
        return ed25519.Ed25519PrivateKey.from_private_bytes(self._seed)

    # ---------------------------------------------------------------- proofs

    def prove_legacy(self, timestamp: str, text: str, signature: str, now: float) -> None:
        """CB-ACCESS-SIGN of Advanced Trade: hexadecimal, over timestamp + what follows."""
        in_time(timestamp, now)
        if not hmac.compare_digest(digest(self.secret.encode(), timestamp + text).hex(), signature):
            raise Unproven("invalid signature")

    def prove_exchange(self, timestamp: str, text: str, signature: str, passphrase: str, now: float) -> None:
        """CB-ACCESS-SIGN of Exchange: base64, the secret decoded first."""
        if passphrase != self.passphrase:
            raise Unproven("Invalid Passphrase")
        in_time(timestamp, now)
        made = base64.b64encode(digest(base64.b64decode(self.secret64), timestamp + text)).decode()
        if not hmac.compare_digest(made, signature):
            raise Unproven("invalid signature")

    def prove_token(self, token: str, now: float, request: str = "") -> None:
        """A JWT; `request` is such as `GET /api/v3/brokerage/accounts`, empty for a WebSocket."""
        head, claims = read_token(token)
        text, _, proof = token.rpartition(".")
        signature = _unpadded(proof)
        try:
            if head.get("alg") == "ES256" and head.get("kid") == self.cdp and len(signature) == 64:
                r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
                key = self._ecdsa.public_key()
                key.verify(encode_dss_signature(r, s), text.encode(), ec.ECDSA(hashes.SHA256()))
            elif head.get("alg") == "EdDSA" and head.get("kid") == self.cdp2:
                self._eddsa.public_key().verify(signature, text.encode())
            else:
                raise Unproven("invalid key")
        except InvalidSignature:
            raise Unproven("invalid signature") from None
        issuer = "coinbase-cloud" if head["alg"] == "ES256" else "cdp"
        if claims.get("sub") != head["kid"] or claims.get("iss") != issuer:
            raise Unproven("invalid claims")
        if not head.get("nonce"):
            raise Unproven("no nonce")
        if not claims.get("nbf", 0) - OLD <= now <= claims.get("exp", 0) <= claims.get("nbf", 0) + 120:
            raise Unproven("token expired")
        said = [claims["uri"]] if "uri" in claims else claims.get("uris", [])
        if request and request not in [path_of(uri) for uri in said]:
            raise Unproven("uri does not match the request")


def path_of(uri: str) -> str:
    """`GET api.coinbase.com/api/v3/x` -> `GET /api/v3/x`: the host is that of the test."""
    method, _, address = uri.partition(" ")
    return f"{method} /{address.split('://')[-1].partition('/')[2]}"


def in_time(timestamp: str, now: float) -> None:
    """Seconds since 1970, whole or not."""
    try:
        away = abs(float(timestamp) - now)
    except ValueError:
        raise Unproven("invalid timestamp") from None
    if not away <= OLD:
        raise Unproven("request timestamp expired")


def read_token(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A JWT's header and claims, not yet believed."""
    try:
        head, claims, _ = (json.loads(_unpadded(part)) if at < 2 else {} for at, part in enumerate(token.split(".")))
    except (ValueError, UnicodeDecodeError):
        raise Unproven("not a token") from None
    if not isinstance(head, dict) or not isinstance(claims, dict):
        raise Unproven("not a token")
    return head, claims
