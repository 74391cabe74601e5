"""The header and the page about it: the provider on the page works as it stands, and `make install` installs the header."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from support.cluster import ROOT
from support.database import Database
from support.markdown import named
from support.providing import HEADERS, WARNINGS, compiled, fingerprint_of, provided_server, secret_of, server_headers

PAGE = ROOT / "docs" / "key-provider.md"
HEADER = HEADERS / "pgseal_key_provider.h"


def test_the_provider_on_the_page(tmp_path: Path) -> None:
    with provided_server() as server:
        library = compiled(server, "folder_key", named(PAGE, "folder_key.c"))
        keys = server.home / "keys"
        keys.mkdir()
        secret = keys / "1.sign"
        secret.write_bytes(secret_of("1"))
        settings = {"shared_preload_libraries": f"{library}, pgseal", "folder_key.path": str(keys)}
        server.settings.update(settings)
        server.start()
        database = server.createdb(name="sealed")
        database.run("CREATE EXTENSION pgseal; CREATE TABLE h (n int); SELECT seal.attach('h')")
        database.run("INSERT INTO h VALUES (1)")
        server.restart()
        database = Database(server, "sealed")
        database.run("INSERT INTO h VALUES (2)")
        assert database.rows("SELECT verdict, entries FROM seal.verify_history()") == [("intact", 2)]
        expected = f"key 1 with fingerprint {fingerprint_of(secret_of('1'))} from folder_key"
        assert database.value("SELECT problem FROM seal.check_setup() WHERE item = 'key'") == expected
        database.close()

        gave_none = 'DETAIL:  The key provider "folder_key" gave no key: '
        for content, complaint in [
            (secret_of("1")[:16], "the key has 16 bytes, at least 32 are needed."),
            (bytes(range(256)) * 5, "the key has 1280 bytes, at most 1024 are allowed."),
            (None, f"it returned 1: cannot open {secret}: No such file or directory."),
        ]:
            secret.unlink() if content is None else secret.write_bytes(content)
            mark = server.log_position()
            server.restart()
            assert f"{gave_none}{complaint}\n" in server.log(mark)


@pytest.mark.parametrize("language", ["c11", "c++11"])
def test_the_header_needs_nothing_else(language: str, tmp_path: Path) -> None:
    source = tmp_path / "header"
    source.write_text('#include "pgseal_key_provider.h"\nextern struct pgseal_key_provider provider;\n')
    compiler = os.environ.get("CC", "cc")
    words = [f"-std={language}", "-x", language.rstrip("1"), "-Wpedantic", *WARNINGS, "-fsyntax-only", f"-I{HEADERS}"]
    subprocess.run([compiler, *words, source], check=True, timeout=60)


def test_make_install_has_installed_it() -> None:
    installed = server_headers() / "extension" / "pgseal" / HEADER.name
    assert installed.read_text() == HEADER.read_text()
