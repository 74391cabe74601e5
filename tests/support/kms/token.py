"""PKCS#11: a token of SoftHSM, asked by OpenSC's pkcs11-tool."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import ClassVar

from support.kms import Done, Kms, setting_words
from support.kms.files import moved_away

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
PIN = "pin-0n-the-token"


class Pkcs11Token(Kms):
    command = "pkcs11"
    tools: ClassVar = {"stat", "cat", "od", "tr", "pkcs11-tool"}
    needs: ClassVar = {MODULE: "softhsm2", "/usr/bin/softhsm2-util": "softhsm2", "/usr/bin/pkcs11-tool": "opensc"}
    complaint = (
        'ended with exit status 69: No slot with token named "pgseal" found'
        " pkcs11: token pgseal gave nothing for key pgseal-1-sign."
    )
    strangers_complaint = "CKR_PIN_INCORRECT"

    def start(self) -> None:
        self.tokens = self.home / "tokens"
        self.write("pin", f"{PIN}\n")
        self.write("strangers-pin", "0000\n")
        self.write("softhsm2.conf", f"directories.tokendir = {self.tokens}\nobjectstore.backend = file\n")
        self.shell(
            f"mkdir {self.tokens}; softhsm2-util --init-token --free --label pgseal --so-pin so-{PIN} --pin {PIN}",
            self.environment(),
        )

    def environment(self) -> dict[str, str]:
        return {"SOFTHSM2_CONF": str(self.home / "softhsm2.conf"), "MODULE": MODULE, "TOKEN": "pgseal", "PIN": PIN}

    def tool(self, words: str, *, check: bool = True) -> Done:
        """pkcs11-tool, logged in to the token."""
        line = f"pkcs11-tool --module {MODULE} --token-label pgseal --login --pin env:PIN {words}"
        return self.shell(line, self.environment(), check=check)

    def line_with(self, pin: str) -> str:
        words = setting_words(SOFTHSM2_CONF=self.home / "softhsm2.conf")
        return f"{words}{self.script} {MODULE} pgseal {self.home}/{pin} %k %p"

    @property
    def line(self) -> str:
        return self.line_with("pin")

    @property
    def strangers_line(self) -> str:
        return self.line_with("strangers-pin")

    def down(self) -> AbstractContextManager[None]:
        return moved_away(next(self.tokens.iterdir()))
