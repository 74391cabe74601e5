"""Mail servers that tests send to, with certificates of their own, and a server of PostgreSQL that mails.

    with MailServer() as mail: ...                                  plain
    with MailServer(tls=certificates, security="starttls") as mail  STARTTLS, login demanded
    with MailServer(tls=certificates, security="smtps") as mail     TLS from the first byte, login demanded
    mail.received                                                   what came in, in order
"""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import socket
import ssl
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default as modern
from pathlib import Path
from typing import Any, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword
from aiosmtpd.smtp import Session as MailSession
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from support.witnessing import until

USER, PASSWORD = "alarms@example.org", "Pa:ss wörd-5up3rs3cr3t"


@dataclass(frozen=True)
class Received:
    """One mail: the envelope's addresses, and the mail as a reader sees it."""

    sender: str
    recipients: list[str]
    raw: bytes
    mail: EmailMessage
    logged_in: str | None
    encrypted: bool

    @property
    def text(self) -> str:
        return str(self.mail.get_content()).replace("\r\n", "\n")


@dataclass
class Certificates:
    """An authority of the test's own, and a certificate of its for localhost and 127.0.0.1."""

    folder: Path
    authority: Path = field(init=False)
    certificate: Path = field(init=False)
    key: Path = field(init=False)

    def __post_init__(self) -> None:
        self.authority, self.certificate, self.key = (self.folder / name for name in ("ca.pem", "cert.pem", "key.pem"))
        authority_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority of a test")])
        authority = (
            self._builder(name, name, authority_key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(authority_key, hashes.SHA256())
        )
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        server = (
            self._builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]), name, server_key)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(authority_key, hashes.SHA256())
        )
        self.authority.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
        self.certificate.write_bytes(server.public_bytes(serialization.Encoding.PEM))
        self.key.write_bytes(
            server_key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )

    @staticmethod
    def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
        return builder.serial_number(x509.random_serial_number()).not_valid_before(now - day).not_valid_after(now + day)

    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate, self.key)
        return context


class MailServer:
    """A mail server on this machine that keeps what it gets."""

    def __init__(
        self, tls: Certificates | None = None, security: str = "plain", port: int = 0, password: str = PASSWORD
    ) -> None:
        self.tls, self.security, self.port, self.password = tls, security, port, password
        self.received: list[Received] = []
        self.refused_recipients: dict[str, str] = {}
        self.answer = "250 kept as number 4711"
        self.connections = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        scheme = {"plain": "smtp", "starttls": "smtp+starttls", "smtps": "smtps"}[self.security]
        return f"{scheme}://localhost:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        context = self.tls.context() if self.tls and self.security == "smtps" else None
        # The whole of 127.0.0.0/8 arrives here, which gives the same server several addresses.
        creating = self._loop.create_server(self._conversation, "0.0.0.0", self.port, ssl=context)

        async def start() -> asyncio.Server:
            return await creating

        self._server = asyncio.run_coroutine_threadsafe(start(), self._loop).result(10)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        async def stop() -> None:
            assert self._server
            self._server.close()
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def wait_for(self, count: int) -> list[Received]:
        until(lambda: len(self.received) >= count, f"{count} mails")
        return self.received

    def _conversation(self) -> SMTP:
        self.connections += 1
        options: dict[str, Any] = {"hostname": "mail.example.org", "loop": self._loop, "enable_SMTPUTF8": True}
        if self.security != "plain":
            options |= {"authenticator": self._login, "auth_required": True}
        if self.security == "starttls":
            assert self.tls
            options |= {"tls_context": self.tls.context(), "require_starttls": True}
        if self.security == "smtps":
            options |= {"auth_require_tls": False}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that logins need no TLS: it is there already
            return SMTP(self, **options)

    def _login(self, _server: SMTP, _session: MailSession, _envelope: Envelope, _how: str, said: Any) -> AuthResult:
        assert isinstance(said, LoginPassword)
        good = said.login == USER.encode() and said.password == self.password.encode()
        # A talkative server: it says in its refusal what it was told.
        refusal = f"535 5.7.8 wrong: {said.password.decode()}"
        return AuthResult(success=good, handled=good, auth_data=said.login.decode(), message=None if good else refusal)

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: MailSession, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address in self.refused_recipients:
            return self.refused_recipients[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, session: MailSession, envelope: Envelope) -> str:  # noqa: N802
        raw = bytes(envelope.content or b"")
        mail = BytesParser(policy=modern).parsebytes(raw)
        assert isinstance(mail, EmailMessage)
        encrypted = session.ssl is not None or self.security == "smtps"
        self.received.append(
            Received(str(envelope.mail_from), list(envelope.rcpt_tos), raw, mail, session.auth_data, encrypted)
        )
        return self.answer


class Listener:
    """Accepts connections and talks as `talk` does, with one at a time; by default it says nothing, to any number."""

    def __init__(self, talk: Callable[[socket.socket], None] | None = None) -> None:
        self._talk = talk or (lambda connection: None)
        self._ended = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.open: list[socket.socket] = []
        self.port = self._listening.getsockname()[1]
        self.heard: list[bytes] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for connection in self.open:
            connection.close()
        self._thread.join(10)

    def _serve(self) -> None:
        while not self._ended.is_set():
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.open.append(connection)
            try:
                self._talk(connection)
            except OSError:
                continue

    def connected(self) -> bool:
        return bool(self.open)


def unused_port() -> int:
    """A port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])
