"""Verifies an exported pgseal history with nothing but Python's standard library; see format.md.

    python3 verify.py export.jsonl secret.txt

The secret is hex or base64; after a rotation, one line for each key: its id and the secret. Ends with 0 if all is as it was sealed, with 1 if not, with 2 if nothing was sealed.
"""

import base64
import hashlib
import hmac
import json
import struct
import sys
from pathlib import Path
from typing import Any

Line = dict[str, Any]

JOURNAL = b"pgseal journal\x00\x00"


def mac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


def derive(secret: bytes, history: bytes, info: bytes) -> bytes:
    """HKDF-SHA-256 (RFC 5869); 32 bytes are a single block."""
    return mac(mac(history, secret), info + b"\x01")


def read_secret(text: str) -> bytes:
    is_hex = all(digit in "0123456789abcdefABCDEF" for digit in text)
    return bytes.fromhex(text) if is_hex else base64.b64decode(text + "=" * (-len(text) % 4))


def read_secrets(text: str) -> dict[str, bytes]:
    words = [line.split() for line in text.splitlines() if line.strip()]
    return {line[0] if line[1:] else "1": read_secret(line[-1]) for line in words}


def sized(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def preimage(history: bytes, salt_key: bytes, entry: Line) -> bytes:
    chain, position = entry["chain"].encode(), struct.pack(">Q", entry["position"])
    salt, tenant = mac(salt_key, history + chain + position)[:16], entry["tenant"]
    return bytes(
        b"pgseal\x00\x01" + history + struct.pack(">H", len(chain)) + chain + position
        + struct.pack(">IQ", entry["epoch"], entry["anchor"]) + bytes.fromhex(entry["sealed_at"])
        + (b"\x00" if tenant is None else b"\x01" + sized(tenant.encode()))
        + bytes.fromhex(entry["prev"]) + hashlib.sha256(salt + entry["document"].encode()).digest()
    )  # fmt: skip


def record_mac(key: bytes, label: str, history: bytes, record_id: bytes, fields: list[bytes | None]) -> bytes:
    message = sized(label.encode()) + sized(history) + sized(record_id) + struct.pack(">I", len(fields))
    return mac(key, message + b"".join(b"\x00" if field is None else b"\x01" + sized(field) for field in fields))


def record_faults(secrets: dict[str, bytes], history: bytes, settings: Line, epochs: list[Line]) -> list[str]:
    """Are the settings and the epochs those that pgseal wrote, and does each epoch follow the one before?"""
    faults, previous, key = [], None, b""
    for number, epoch in enumerate(epochs, 1):
        record_id = history + struct.pack(">I", epoch["epoch"])
        key = derive(secrets.get(json.loads(epoch["record"])["key"], b""), history, b"pgseal record")
        if record_mac(key, "epoch", history, record_id, [epoch["record"].encode()]).hex() != epoch["mac"]:
            faults.append(f"epoch {epoch['epoch']}: its record was changed")
        if epoch["epoch"] != number or json.loads(epoch["record"]).get("previous") != previous:
            faults.append(f"epoch {epoch['epoch']}: does not follow the one before it")
        previous = hashlib.sha256(epoch["record"].encode()).hexdigest()
    fields = [None if field is None else bytes.fromhex(field) for field in settings["fields"]]
    if fields[3:5] != [struct.pack(">I", len(epochs)), bytes.fromhex(previous or "")]:
        faults.append("settings: the newest epoch is not the one in force")
    if record_mac(key, "history", history, history, fields).hex() != settings["mac"]:
        faults.append("settings: they were changed")
    return faults


def cuts_of(secrets: dict[str, bytes], history: bytes, journal: list[Line]) -> tuple[dict[str, Line], list[str]]:
    """Where each chain of the history begins: after its last pruned entry, which the journal has."""
    cuts: dict[str, Line] = {}
    faults = []
    for act in journal:
        record_id = act["journal"].encode() + struct.pack(">Q", act["seq"])
        fields = [None if field is None else bytes.fromhex(field) for field in act["fields"]]
        key = derive(secrets.get((fields[8] or b"").decode(), b""), JOURNAL, b"pgseal record")
        if record_mac(key, "journal", JOURNAL, record_id, fields).hex() != act["mac"]:
            faults.append(f"journal {act['journal']} {act['seq']}: this cut was changed")
        elif fields[2:4] == [b"cut", history]:
            for chain, span in json.loads(fields[6] or b"{}").get("chains", {}).items():
                if span["last"] > cuts.get(chain, Line(position=0))["position"]:
                    cuts[chain] = Line(position=span["last"], mac=span["mac"], epoch=span["epoch"])
    return cuts, faults


def chain_faults(entries: list[Line], macs: dict[int, str], cut: Line | None) -> list[str]:
    """Walks one chain from its cut on. `macs`: what was computed from each row, by the row's id()."""
    faults, before = [], cut or Line(position=0, mac="00" * 32, epoch=0)
    for entry in sorted(entries, key=lambda entry: int(entry["position"])):
        place, expected = f"{entry['chain']} {entry['position']}", before["position"] + 1
        if cut and entry["position"] <= cut["position"]:
            faults.append(f"{place}: was pruned and stands here again")
            continue
        if macs[id(entry)] != entry["mac"]:
            faults.append(f"{place}: the mac is not that of this row")
        if entry["position"] != expected:
            faults.append(f"{place}: position {expected} should be here")
        elif entry["prev"] != before["mac"]:
            faults.append(f"{place}: follows another entry than the one before it")
        if entry["epoch"] < before["epoch"]:
            faults.append(f"{place}: is of an older epoch than the one before it")
        before = entry
    return faults


def main(export: str, secret_file: str) -> int:
    lines = [json.loads(line) for line in Path(export).read_text("utf-8").split("\n") if line]
    settings = next(line for line in lines if "history_id" in line)
    epochs = sorted((line for line in lines if "record" in line), key=lambda line: int(line["epoch"]))
    entries, journal = [line for line in lines if "position" in line], [line for line in lines if "journal" in line]
    secrets, history = read_secrets(Path(secret_file).read_text()), bytes.fromhex(settings["history_id"])
    keys: dict[int, tuple[bytes, bytes]] = {}
    for epoch in epochs:
        number, digest = epoch["epoch"], hashlib.sha256(epoch["record"].encode()).digest()
        secret, info = secrets.get(json.loads(epoch["record"])["key"], b""), struct.pack(">I", number) + digest
        keys[number] = derive(secret, history, b"pgseal epoch" + info), derive(secret, history, b"pgseal salt")
    macs: dict[int, str] = {}
    chains: dict[str, list[Line]] = {}
    faults = record_faults(secrets, history, settings, epochs)
    cuts, altered = cuts_of(secrets, history, journal)
    faults += altered
    for entry in entries:
        try:
            key, salt_key = keys.get(entry["epoch"], (b"", b""))
            macs[id(entry)] = mac(key, preimage(history, salt_key, entry)).hex() if key else ""
            chains.setdefault(entry["chain"], []).append(entry)
        except (AttributeError, TypeError, struct.error):
            faults.append(f"{entry['chain']} {entry['position']}: no seal that pgseal could have written")
    for name, members in sorted(chains.items()):
        faults += chain_faults(members, macs, cuts.get(name))
        last = max(members, key=lambda entry: int(entry["position"]))
        print(f"{name}: {len(members)} entries, the last at {last['position']} with mac {last['mac']}")
    print(*faults, f"{len(entries)} entries in {len(chains)} chains, {len(faults)} faults", sep="\n")
    return 1 if faults else 0 if entries else 2


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) if len(sys.argv) == 3 else __doc__)
