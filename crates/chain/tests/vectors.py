"""Writes vectors.json: known answers for pgseal's format, computed with the standard library only.

    python3 crates/chain/tests/vectors.py > crates/chain/tests/vectors.json
"""
import hashlib
import hmac
import json
from urllib.parse import quote


def mac(key, message):
    return hmac.new(key, message, hashlib.sha256).digest()


def hkdf_key(secret, salt, info):
    """HKDF-SHA-256 (RFC 5869) of 32 bytes: a single block."""
    return mac(mac(salt, secret), info + b"\x01")


def number(value, size):
    return value.to_bytes(size, "big", signed=value < 0)


def entry(note, secret, history, record, chain, position, epoch, anchor, sealed_at, tenant, prev, document):
    record_digest = hashlib.sha256(record.encode()).digest()
    epoch_key = hkdf_key(secret, history, b"pgseal epoch" + number(epoch, 4) + record_digest)
    salt_key = hkdf_key(secret, history, b"pgseal salt")
    name = chain.encode()
    salt = mac(salt_key, history + name + number(position, 8))[:16]
    digest = hashlib.sha256(salt + document.encode()).digest()
    preimage = (
        b"pgseal\x00\x01"
        + history
        + number(len(name), 2)
        + name
        + number(position, 8)
        + number(epoch, 4)
        + number(anchor, 8)
        + number(sealed_at, 8)
        + (b"\x00" if tenant is None else b"\x01" + number(len(tenant.encode()), 4) + tenant.encode())
        + prev
        + digest
    )
    return {
        "note": note,
        "secret": secret.hex(),
        "history": history.hex(),
        "fingerprint": mac(secret, b"pgseal fingerprint")[:8].hex(),
        "epoch_record": record,
        "record_digest": record_digest.hex(),
        "chain": chain,
        "position": position,
        "epoch": epoch,
        "anchor": anchor,
        "sealed_at": sealed_at,
        "tenant": tenant,
        "prev": prev.hex(),
        "document": document,
        "epoch_key": epoch_key.hex(),
        "salt_key": salt_key.hex(),
        "salt": salt.hex(),
        "document_digest": digest.hex(),
        "preimage": preimage.hex(),
        "mac": mac(epoch_key, preimage).hex(),
    }


def record_mac(secret, history, label, record_id, fields):
    def sized(value):
        return number(len(value), 4) + value

    message = sized(label.encode()) + sized(history) + sized(record_id) + number(len(fields), 4)
    for field in fields:
        message += b"\x00" if field is None else b"\x01" + sized(field)
    key = hkdf_key(secret, history, b"pgseal record")
    return {
        "secret": secret.hex(),
        "history": history.hex(),
        "label": label,
        "record_id": record_id.hex(),
        "fields": [None if field is None else field.hex() for field in fields],
        "message": message.hex(),
        "mac": mac(key, message).hex(),
    }


def witness(secret, history, database, chain, position, at, text, full, heads, key_id, anchor_mac):
    """A witness line; `text` is the time `at` as text."""
    fields = [database.encode(), number(at, 8), bytes([full]), number(heads, 8), key_id.encode(), anchor_mac]
    signed = record_mac(secret, history, "witness", chain.encode() + number(position, 8), fields)
    database, chain, key_id = (quote(name, safe="/:").replace("~", "%7E") for name in (database, chain, key_id))
    line = (
        f"pgseal-anchor 1 database={database} chain={chain} number={position} at={text} full={'yes' if full else 'no'} "
        f"heads={heads} key={key_id} anchor={anchor_mac.hex()} mac={signed['mac']}"
    )
    return {**signed, "line": line}


def closing(root, stream, kind, first, period, history, position, text):
    """A closing record under the secret of its period; `kind`: day 1, month 2."""
    secret = hkdf_key(root, stream, b"pgseal evolution" + bytes([kind]) + number(first, 4))
    for later in range(first + 1, period + 1):
        secret = hkdf_key(secret, stream, b"pgseal next period" + number(later, 4))
    signed = record_mac(secret, history, "closing", number(position, 8), [text.encode()])
    digest = hashlib.sha256(number(position, 8) + bytes.fromhex(signed["mac"]) + text.encode()).hexdigest()
    return {
        "root": root.hex(),
        "stream": stream.hex(),
        "kind": {1: "day", 2: "month"}[kind],
        "first": first,
        "period": period,
        "secret": secret.hex(),
        "history": history.hex(),
        "number": position,
        "record": text,
        "mac": signed["mac"],
        "digest": digest,
    }


short = bytes(range(32))
long = bytes(i * 7 % 256 for i in range(100))
first = bytes.fromhex("0123456789abcdef0123456789abcdef")
second = bytes.fromhex("ffeeddccbbaa99887766554433221100")
record = '{"columns": [["payload", "jsonb"], ["tenant", "text"]], "epoch": 1}'
genesis = bytes(32)

entries = [
    entry("first entry, tenant NULL", short, first, record, "main.0a1b2c3d", 1, 1, 0, 0, None, genesis, "{}"),
    entry("tenant empty", short, first, record, "main.0a1b2c3d", 1, 1, 0, 0, "", genesis, "{}"),
]
middle = entry(
    "middle entry", short, first, record, "main.0a1b2c3d", 2, 1, 17, 815_000_000_123_456, "acme",
    bytes.fromhex(entries[0]["mac"]), '{"tenant": "acme", "payload": {"by": "demo", "task": "approve"}}',
)
entries += [
    middle,
    entry("sealed before 2000, largest numbers", long, second, "", "büro.ffffffff/4294967295", 2**63 - 1, 2**31 - 1,
          2**63 - 1, -1, "größe", bytes.fromhex(middle["mac"]), '{"a": "ü"}'),
    entry("long chain name", long, first, record, "n" * 300, 3, 2, 1, 1, "t" * 300, b"\xff" * 32, '{"a": 1}'),
    entry("big document", short, second, record, "main.0a1b2c3d/7", 4, 3, 2, 2, "acme", b"\x01" * 32,
          '{"payload": "' + "x" * 5000 + '"}'),
]
records = [
    record_mac(short, first, "epoch", b"", []),
    record_mac(short, first, "cut", b"main.0a1b2c3d", [None, b"", b"5", b"\xff" * 32]),
    record_mac(long, second, "checkpoint", b"\x00\x01", [b"a" * 300, None]),
]
witnesses = [
    witness(short, first, "shop", "main.0a1b2c3d", 17, 848_613_600_123_456, "2026-11-21T22:00:00.123456Z", True, 3, "1",
            bytes(range(64, 96))),
    witness(long, second, "my \"größte\" db\n~", "büro.ffffffff", 2**63 - 1, -1, "1999-12-31T23:59:59.999999Z", False, 0,
            "", b"\xff" * 32),
]
closings = [
    closing(short, first, 1, 9822, 9822, second, 1, "{}"),
    closing(long, second, 1, 9822, 10_000, first, 2**63 - 1, '{"what": "closing"}'),
    closing(long, second, 2, 0, 3, b"pgseal journal\x00\x00", 2, '{"what": "opening", "place": "büro.ffffffff"}'),
]
known = {"entries": entries, "records": records, "witnesses": witnesses, "closings": closings}
print(json.dumps(known, indent=1, ensure_ascii=False))
