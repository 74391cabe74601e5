"""KMIP: Debian's PyKMIP server as it is, with certificates of a test authority. It knows a client by its certificate,
and shows keys to nobody but who made them."""

from __future__ import annotations

import subprocess
from contextlib import AbstractContextManager
from pathlib import Path
from typing import ClassVar

from support.cluster import Cluster
from support.kms import Done, Kms, as_server
from support.kms.service import Service

CREATE_KEY = Path(__file__).parent / "kmip_create_key.py"
EXTENSIONS = "extendedKeyUsage = {usage}Auth\nsubjectAltName = IP:127.0.0.1\n"


class KmipServer(Kms):
    command = "kmip"
    tools: ClassVar[set[str]] = set()
    needs: ClassVar = {"/usr/bin/pykmip-server": "python3-pykmip", "/usr/bin/openssl": "openssl"}
    complaint = "ended with exit status 69: kmip: [Errno 111] Connection refused."
    strangers_complaint = "kmip: the server shows this client no symmetric key with the name pgseal-1-sign"

    def start(self) -> None:
        self.port = Cluster.free_port()
        for authority in "authority", "other-authority":
            self._new_key(authority, f"req -x509 -days 30 -out {authority}.pem")
        self._certify("server", "authority", "server")
        for client, authority in ("database", "authority"), ("auditor", "authority"), ("outsider", "other-authority"):
            self._certify(client, authority, "client")
            self.write(
                f"{client}.conf",
                f"[kmip]\nhost = 127.0.0.1\nport = {self.port}\nca = {self.home}/authority.pem\n"
                f"certificate = {self.home}/{client}.pem\nkey = {self.home}/{client}.key\n",
            )
        self.write(
            "server.conf",
            f"[server]\nhostname = 127.0.0.1\nport = {self.port}\ncertificate_path = {self.home}/server.pem\n"
            f"key_path = {self.home}/server.key\nca_path = {self.home}/authority.pem\nauth_suite = TLS1.2\n"
            "tls_cipher_suites = TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384\n"
            f"database_path = {self.home}/kmip.db\n",
        )
        words = ["/usr/bin/pykmip-server", "-f", self.home / "server.conf", "-l", self.home / "kmip.log"]
        self.service = Service(words, self.port, self.home / "kmip.out", **as_server())
        self.services = [self.service]
        self.service.start()

    def _new_key(self, name: str, words: str) -> None:
        self.shell(
            f"umask 077; openssl {words} -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.key"
            f" -subj /CN={name}"
        )

    def _certify(self, name: str, authority: str, usage: str) -> None:
        self._new_key(name, f"req -out {name}.request")
        self.write(f"{name}.extensions", EXTENSIONS.format(usage=usage))
        self.shell(
            f"openssl x509 -req -days 30 -in {name}.request -extfile {name}.extensions -out {name}.pem"
            f" -CA {authority}.pem -CAkey {authority}.key -CAcreateserial"
        )

    def make_key(self, key_id: str, purpose: str = "sign") -> None:
        """A server's own console makes keys. This one has none, but a library for clients; for `verify`, the auditor
        does it."""
        client = "auditor" if purpose == "verify" else "database"
        # Isolated, or this file would stand before the library of the same name.
        words = ["/usr/bin/python3", "-I", "-W", "ignore", CREATE_KEY, self.home, self.port, client]
        subprocess.run([*map(str, words), f"pgseal-{key_id}-{purpose}"], check=True, timeout=60)

    def line_of(self, client: str) -> str:
        return f"{self.script} {self.home}/{client}.conf %k %p"

    @property
    def line(self) -> str:
        return self.line_of("database")

    @property
    def strangers_line(self) -> str:
        return self.line_of("auditor")

    def ask_verifier(self, key_id: str) -> Done:
        return self.ask(key_id, "verify", line=self.line_of("auditor"))

    def down(self) -> AbstractContextManager[None]:
        return self.service.stopped()
