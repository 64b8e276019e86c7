"""How requests are proven on both venues. Pure."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from tests.emulators.coinbase.keys import Keys, Unproven, digest, path_of

KEYS = Keys("key", "secret", "phrase")
NOW = 1_700_000_000.0
REQUEST = "GET /api/v3/brokerage/accounts"


def word(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def token(kind: str = "ES256", head: dict[str, Any] | None = None, **claims: Any) -> str:
    """Signed with the key that the emulator gave away."""
    elliptic = kind == "ES256"
    name = KEYS.cdp if elliptic else KEYS.cdp2
    said = {"sub": name, "iss": "coinbase-cloud" if elliptic else "cdp", "nbf": int(NOW), "exp": int(NOW) + 120}
    said |= {"uri": "GET 127.0.0.1:80/api/v3/brokerage/accounts"} if elliptic else {}
    said |= {} if elliptic else {"uris": ["GET http://127.0.0.1:80/api/v3/brokerage/accounts"]}
    text = f"{word({'alg': kind, 'kid': name, 'nonce': 'abc'} | (head or {}))}.{word(said | claims)}"
    if elliptic:
        key = serialization.load_pem_private_key(KEYS.cdp_secret.encode(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        r, s = decode_dss_signature(key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{text}.{word(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"
    seed = base64.b64decode(KEYS.cdp2_secret)[:32]
    return f"{text}.{word(ed25519.Ed25519PrivateKey.from_private_bytes(seed).sign(text.encode()))}"


@pytest.mark.parametrize("kind", ["ES256", "EdDSA"])
def test_a_token_proves_one_request_for_two_minutes(kind: str) -> None:
    made = token(kind)
    KEYS.prove_token(made, NOW + 100, REQUEST)
    KEYS.prove_token(made, NOW)
    with pytest.raises(Unproven, match="expired"):
        KEYS.prove_token(made, NOW + 121, REQUEST)
    with pytest.raises(Unproven, match="uri"):
        KEYS.prove_token(made, NOW, "POST /api/v3/brokerage/orders")
    with pytest.raises(Unproven, match="signature"):
        KEYS.prove_token(made[:-8] + "AAAAAAAA", NOW, REQUEST)
    with pytest.raises(Unproven, match="claims"):
        KEYS.prove_token(token(kind, sub="another"), NOW, REQUEST)
    with pytest.raises(Unproven, match="expired"):
        KEYS.prove_token(token(kind, exp=int(NOW) + 9999), NOW, REQUEST)
    with pytest.raises(Unproven, match="key"):
        KEYS.prove_token(token(kind, {"kid": "another"}), NOW, REQUEST)
    with pytest.raises(Unproven, match="nonce"):
        KEYS.prove_token(token(kind, {"nonce": ""}), NOW, REQUEST)


@pytest.mark.parametrize("wrong", ["", "a.b", "e30.e30.", "bm8.bm8.bm8", "e30", "WzFd.WzFd.AA"])
def test_what_is_not_a_token(wrong: str) -> None:
    with pytest.raises(Unproven):
        KEYS.prove_token(wrong, NOW, REQUEST)


def test_signatures_are_of_the_time_and_the_text() -> None:
    stamp = str(int(NOW))
    KEYS.prove_legacy(stamp, "GET/x", digest(b"secret", f"{stamp}GET/x").hex(), NOW)
    with pytest.raises(Unproven, match="signature"):
        KEYS.prove_legacy(stamp, "GET/y", digest(b"secret", f"{stamp}GET/x").hex(), NOW)
    with pytest.raises(Unproven, match="expired"):
        KEYS.prove_legacy(stamp, "GET/x", "", NOW + 31)
    with pytest.raises(Unproven, match="timestamp"):
        KEYS.prove_legacy("now", "GET/x", "", NOW)
    with pytest.raises(Unproven, match="expired"):
        KEYS.prove_legacy("nan", "GET/x", "", NOW)
    secret = base64.b64decode(KEYS.secret64)
    sign = base64.b64encode(digest(secret, f"{stamp}GET/x")).decode()
    KEYS.prove_exchange(stamp, "GET/x", sign, "phrase", NOW)
    with pytest.raises(Unproven, match="Passphrase"):
        KEYS.prove_exchange(stamp, "GET/x", sign, "no", NOW)


def test_a_uri_names_a_host_or_an_address() -> None:
    assert path_of("GET api.coinbase.com/api/v3/x") == path_of("GET http://127.0.0.1:1/api/v3/x") == "GET /api/v3/x"
