#!/usr/bin/env python3
"""Who holds rights in what pgseal.so contains: copyright.py <folder> <cargo features>.

Writes two files into the folder: `copyright`, in Debian's machine-readable format, and `third-party-licenses.txt`, the
notices as the sources of each crate carry them, equal ones once. What is known comes from `cargo metadata` and from
files in the crates; a crate that carries no notice is listed with what its Cargo.toml says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NOTICE = re.compile(r"^(licen[cs]e|copying|copyright|notice|unlicense)", re.IGNORECASE)
HOLDER = re.compile(r"^\W*(?:Portions )?Copyright(?: \([cC]\)| ©)?:? +(.*\d{4}.*)$", re.MULTILINE)
COMMON = {"Apache-2.0": "/usr/share/common-licenses/Apache-2.0", "MPL-2.0": "/usr/share/common-licenses/MPL-2.0"}
NOTICES = "third-party-licenses.txt.gz"


@dataclass(frozen=True)
class Crate:
    name: str
    version: str
    license: str
    authors: tuple[str, ...]
    notices: tuple[tuple[str, str], ...]
    """Name of the file and its text."""

    @property
    def title(self) -> str:
        return f"{self.name}-{self.version}"

    def holders(self) -> list[str]:
        found = {" ".join(line.split()) for _, text in self.notices for line in HOLDER.findall(text)}
        return sorted(found) or list(self.authors) or [f"the authors of {self.name}"]


def run(*command: str) -> str:
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def notices(folder: Path) -> tuple[tuple[str, str], ...]:
    files = sorted(file for file in folder.iterdir() if file.is_file() and NOTICE.match(file.name))
    return tuple((file.name, file.read_text(errors="replace").strip()) for file in files if file.suffix != ".rs")


def debian(expression: str) -> str:
    """Cargo's licence expression as Debian writes it."""
    return expression.replace("/", " OR ").replace(" OR ", " or ").replace(" AND ", " and ").replace("  ", " ")


def linked(features: str) -> list[Crate]:
    """The crates that end up in the library: neither build scripts' nor macros', nor what only tests need."""
    host = re.search(r"^host: (.*)$", run("rustc", "-vV"), re.MULTILINE).group(1)
    metadata = json.loads(
        run(
            "cargo", "metadata", "--format-version=1", "--locked", "--no-default-features",
            f"--features={features}", f"--filter-platform={host}",
        )
    )  # fmt: skip
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    reached: set[str] = set()
    waiting = [metadata["resolve"]["root"]]
    while waiting:
        here = waiting.pop()
        is_macro = any("proc-macro" in target["kind"] for target in packages[here]["targets"])
        if here in reached or is_macro:
            continue
        reached.add(here)
        waiting += [
            dependency["pkg"]
            for dependency in nodes[here]["deps"]
            if any(kind["kind"] is None for kind in dependency["dep_kinds"])
        ]
    return sorted(
        (crate(packages[one]) for one in reached if packages[one]["source"] is not None), key=lambda one: one.title
    )


def crate(package: dict) -> Crate:
    return Crate(
        package["name"],
        package["version"],
        debian(package["license"] or "unknown"),
        tuple(package["authors"]),
        notices(Path(package["manifest_path"]).parent),
    )


def standard_library() -> Crate:
    version = run("rustc", "--version").split()[1]
    return Crate("rust-std", version, "MIT or Apache-2.0", ("The Rust Project contributors",), ())


def indented(text: str) -> str:
    return "\n".join(f" {line}".rstrip() if line.strip() else " ." for line in text.splitlines())


def stanza(files: str, holders: list[str], license: str) -> str:
    return f"Files: {files}\nCopyright: " + "\n           ".join(holders) + f"\nLicense: {license}\n"


def copyright(crates: list[Crate]) -> str:
    own = (ROOT / "LICENSE").read_text().strip()
    holders = [line.removeprefix("Copyright (c) ") for line in own.splitlines() if line.startswith("Copyright")]
    comment = (
        "pgseal.so contains the crates listed here under crates/. Who holds rights in them, and their licences, was\n"
        "gathered from their sources when this package was built; their notices, word for word, are in\n"
        f"{NOTICES} beside this file."
    )
    parts = [
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"
        f"Upstream-Name: pgseal\nComment:\n{indented(comment)}\n",
        stanza("*", holders, "PostgreSQL"),
        *(stanza(f"crates/{one.title}/*", one.holders(), one.license) for one in crates),
        f"License: PostgreSQL\n{indented(own)}\n",
    ]
    names = {name for one in crates for name in re.split(r" or | and |[()]", one.license) if name.strip()}
    for name in sorted(name.strip() for name in names if name.strip() != "PostgreSQL"):
        where = f"The notices of the crates under it are in {NOTICES} beside this file."
        if name in COMMON:
            where = f"On Debian systems its text is in {COMMON[name]}.\n{where}"
        parts.append(f"License: {name}\n{indented(where)}\n")
    return "\n".join(parts)


def third_party(crates: list[Crate]) -> str:
    users = defaultdict(list)
    for one in crates:
        for name, text in one.notices:
            users[text].append(f"{one.title} ({name})")
    silent = [f"{one.title}: {one.license}; {', '.join(one.holders())}" for one in crates if not one.notices]
    rule = "=" * 100
    parts = [f"{rule}\n{chr(10).join(names)}\n{rule}\n\n{text}\n" for text, names in users.items()]
    parts.append(f"{rule}\nWithout a notice in their sources\n{rule}\n\n{chr(10).join(silent)}\n")
    return "\n".join(parts)


def main() -> None:
    folder, features = Path(sys.argv[1]), sys.argv[2]
    crates = [*linked(features), standard_library()]
    (folder / "copyright").write_text(copyright(crates))
    (folder / "third-party-licenses.txt").write_text(third_party(crates))


if __name__ == "__main__":
    main()
