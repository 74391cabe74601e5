"""hypothesis strategies: the input text of a value, for each type of support.rendering.TYPES."""

from __future__ import annotations

import json
import string

from hypothesis import strategies as st

# UTF-8 text that a text column takes: everything but NUL and halves of surrogate pairs.
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
words = st.text(string.ascii_letters + "äß€𝄞'\" \\,{}()-", max_size=8)


def _digits(size: int) -> st.SearchStrategy[str]:
    return st.text("0123456789", min_size=1, max_size=size)


# -- numbers ------------------------------------------------------------------------------------------------------

bools = st.sampled_from(["true", "false"])


def integers(bytes_: int) -> st.SearchStrategy[str]:
    limit = 1 << (8 * bytes_ - 1)
    return st.integers(-limit, limit - 1).map(str)


decimals = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "-"]),
    _digits(60),
    st.one_of(st.just(""), _digits(60).map(".{}".format)),
    st.one_of(st.just(""), st.integers(-400, 400).map("e{}".format)),
)
numerics = st.one_of(
    decimals, st.sampled_from(["NaN", "Infinity", "-Infinity", "-0", "0.00", "1.10", "9007199254740993"])
)


def floats(width: int) -> st.SearchStrategy[str]:
    """As short as Python writes them; hypothesis likes NaN, the infinities, -0 and the subnormal ones."""
    return st.floats(width=width).map(lambda value: repr(value).replace("inf", "Infinity").replace("nan", "NaN"))  # type: ignore[arg-type]


# -- JSON ---------------------------------------------------------------------------------------------------------


def _escaped(text: str, choice: int) -> str:
    """A JSON string in one of several spellings: as few escapes as possible, all but ASCII escaped, everything."""
    if choice == 0:
        return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")
    if choice == 1:
        return json.dumps(text)
    units = text.encode("utf-16-be")
    return '"' + "".join(f"\\u{units[i]:02x}{units[i + 1]:02X}" for i in range(0, len(units), 2)) + '"'


json_strings = st.builds(_escaped, texts, st.integers(0, 2))
json_numbers = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "-"]),
    st.one_of(st.just("0"), st.builds("{}{}".format, st.sampled_from("123456789"), st.text("0123456789", max_size=50))),
    st.one_of(st.just(""), _digits(30).map(".{}".format)),
    st.one_of(st.just(""), st.builds("{}{}".format, st.sampled_from(["e", "E+", "e-"]), st.integers(0, 500))),
)
_space = st.sampled_from(["", "", " ", "\n\t"])


def _array(children: list[str], space: str) -> str:
    return "[" + (space + "," + space).join(children) + space + "]"


def _object(members: list[tuple[str, str]], space: str) -> str:
    return "{" + ("," + space).join(f"{key}{space}:{space}{value}" for key, value in members) + "}"


# Keys are few, so that many are equal, of equal length, or prefixes of each other.
_keys = st.one_of(st.sampled_from(['""', '"a"', '"b"', '"aa"', '"é"', '"\\u00e9"', '"\\ud834\\udd1e"']), json_strings)
jsons = st.recursive(
    st.one_of(json_strings, json_numbers, st.sampled_from(["null", "true", "false"])),
    lambda inner: st.one_of(
        st.builds(_array, st.lists(inner, max_size=5), _space),
        st.builds(_object, st.lists(st.tuples(_keys, inner), max_size=5), _space),
    ),
    max_leaves=25,
)
# The type json keeps its text, so it takes \u0000 as well.
json_texts = st.one_of(jsons, st.sampled_from([' {"a":1, "a" :2}', '"\\u0000"', "1e400", "[ ]", '{"b":1,"a":1}\n']))

# -- times --------------------------------------------------------------------------------------------------------

_years = st.one_of(st.integers(1, 4700).map("{:04d}".format), st.just("294000"), st.just("1999"))
_days = st.builds("{}-{:02d}-{:02d}".format, _years, st.integers(1, 12), st.integers(1, 28))
_clocks = st.builds(
    "{:02d}:{:02d}:{:02d}.{:06d}".format,
    st.integers(0, 23), st.integers(0, 59), st.integers(0, 59), st.one_of(st.just(0), st.integers(0, 999_999)),
)  # fmt: skip
_zones = st.builds("{}{:02d}:{:02d}".format, st.sampled_from("+-"), st.integers(0, 14), st.sampled_from([0, 30, 45]))
_eras = st.sampled_from(["", "", "", " BC"])
_no_294000_bc = lambda text: not (text.startswith("294000") and text.endswith("BC"))  # noqa: E731
_ends = st.sampled_from(["infinity", "-infinity", "epoch"])


dates = st.one_of(_ends, st.builds("{}{}".format, _days, _eras).filter(_no_294000_bc))
times = st.one_of(_clocks, st.just("24:00:00"))
timetzs = st.builds("{}{}".format, times, _zones)
timestamps = st.one_of(_ends, st.builds("{} {}{}".format, _days, _clocks, _eras).filter(_no_294000_bc))
timestamptzs = st.one_of(_ends, st.builds("{} {}{}{}".format, _days, _clocks, _zones, _eras).filter(_no_294000_bc))
intervals = st.builds(
    "{} mons {} days {}.{:06d} secs".format,
    st.integers(-50_000, 50_000), st.integers(-50_000, 50_000), st.integers(-(10**9), 10**9), st.integers(0, 999_999),
)  # fmt: skip

# -- everything else ----------------------------------------------------------------------------------------------

byteas = st.binary(max_size=40).map(lambda value: "\\x" + value.hex())
uuids = st.uuids().map(str)
hexes = st.text("01", max_size=70)


def quoted(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """A value inside an array, a range or a row: in double quotes."""
    return inner.map(lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"')


def arrays(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """One dimension or two, lower bounds of any sign, NULLs."""
    element = st.one_of(quoted(inner), st.just("NULL"))

    def literal(rows: list[list[str]], first: int, flat: bool) -> str:
        width = min(map(len, rows))
        rows = [row[:width] for row in rows]
        if flat:
            return f"[{first}:{first + width - 1}]={{{','.join(rows[0])}}}"
        bounds = f"[{first}:{first + len(rows) - 1}][{-first}:{width - 1 - first}]"
        return f"{bounds}={{{','.join('{' + ','.join(row) + '}' for row in rows)}}}"

    several = st.lists(st.lists(element, min_size=1, max_size=4), min_size=1, max_size=3)
    return st.one_of(st.just("{}"), st.builds(literal, several, st.integers(-3, 5), st.booleans()))


def ranges(inner: st.SearchStrategy[int], point: str = "{}") -> st.SearchStrategy[str]:
    """Closed, open, unbounded and empty ranges; `point` makes the bound's text of a number."""

    def literal(low: int, length: int, brackets: str, ends: int) -> str:
        lower = point.format(low) if ends & 1 else ""
        upper = point.format(low + length) if ends & 2 else ""
        return f'{brackets[0]}"{lower}","{upper}"{brackets[1]}'.replace('""', "")

    return st.one_of(
        st.just("empty"),
        st.builds(literal, inner, st.integers(0, 900), st.sampled_from(["[)", "[]", "()", "(]"]), st.integers(0, 3)),
    )


def multi(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(inner, max_size=4).map(lambda members: "{" + ",".join(members) + "}")


_small = st.integers(-1000, 1000)
int4ranges = ranges(_small)
numranges = ranges(_small, "{}.50")
tstzranges = ranges(st.integers(1, 900), "{:04d}-03-05 00:00:00.25+05:30")
dateranges = ranges(st.integers(1, 900), "{:04d}-02-03")
moods = st.sampled_from(["sad", 'so "so"', "happy, ja", ""])


def _row(fields: tuple[str | None, ...]) -> str:
    def field(text: str | None) -> str:
        return "" if text is None else '"' + text.replace("\\", "\\\\").replace('"', '""') + '"'

    return "(" + ",".join(map(field, fields)) + ")"


def _maybe(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str | None]:
    return st.one_of(st.none(), inner)


parts = st.tuples(_maybe(integers(4)), _maybe(texts), _maybe(floats(64)), _maybe(timestamptzs)).map(_row)
wholes = st.tuples(_maybe(parts), _maybe(arrays(parts)), _maybe(intervals), _maybe(moods), _maybe(json_texts)).map(_row)
inets = st.one_of(
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str),
    st.builds("{}/{}".format, st.ip_addresses(v=4), st.integers(0, 32)),
)
lexemes = st.lists(
    st.builds("'{}':{}A".format, st.text("abcäß ", min_size=1, max_size=6), st.integers(1, 99)), max_size=4
)

VALUES: dict[str, st.SearchStrategy[str]] = {
    "bool": bools,
    "int2": integers(2),
    "int4": integers(4),
    "int8": integers(8),
    "numeric": numerics,
    "text": texts,
    "varchar": texts,
    "char(5)": st.text("aé𝄞 \\\"\x01", max_size=5),
    "uuid": uuids,
    "date": dates,
    "time": times,
    "timetz": timetzs,
    "timestamp": timestamps,
    "timestamptz": timestamptzs,
    "jsonb": jsons,
    "positive": st.integers(1, 2**31 - 1).map(str),
    "label": words,
    "papers": jsons,
    "float4": floats(32),
    "float8": floats(64),
    "far": floats(64),
    "json": json_texts,
    "bytea": byteas,
    "int4[]": arrays(integers(4)),
    "text[]": arrays(texts),
    "float8[]": arrays(floats(64)),
    "timestamptz[]": arrays(timestamptzs),
    "jsonb[]": arrays(jsons),
    "bytea[]": arrays(byteas),
    "interval[]": arrays(intervals),
    "mood": moods,
    "mood[]": arrays(moods),
    "int4range": int4ranges,
    "numrange": numranges,
    "tstzrange": tstzranges,
    "daterange": dateranges,
    "floats": ranges(_small, "{}.1234567890123"),
    "int4multirange": multi(int4ranges),
    "tstzmultirange": multi(tstzranges),
    "part": parts,
    "whole": wholes,
    "parts": arrays(parts),
    "inet": inets,
    "cidr": st.one_of(st.ip_addresses(v=4).map("{}/32".format), st.just("10.0.0.0/8"), st.just("2001:db8::/33")),
    "macaddr": st.binary(min_size=6, max_size=6).map(lambda six: six.hex(":")),
    "interval": intervals,
    "xml": words.map(lambda text: "<a b='é'>" + text.replace("{", "&lt;") + "</a><!-- x -->"),
    "tsvector": lexemes.map(" ".join),
    "tsquery": st.sampled_from(["'a' & !'b'", "'x y' <-> 'ä':*A", ""]),
    "bit(5)": st.text("01", min_size=5, max_size=5),
    "varbit": hexes,
    '"char"': st.sampled_from(["", "a", '"', "\\", "\\310", "\n"]),
    "name": words,
    "oid": st.integers(0, 2**32 - 1).map(str),
    "hstore": st.lists(
        st.builds("{}=>{}".format, quoted(words), st.one_of(quoted(words), st.just("NULL"))), max_size=4
    ).map(", ".join),
    "citext": texts,
    "point": st.builds("({},{})".format, floats(64), floats(64)),
    "circle": st.builds("<({},{}),{}>".format, floats(64), floats(64), st.integers(0, 10**6)),
    "pg_lsn": st.builds("{:X}/{:X}".format, st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)),
    "xid8": st.integers(0, 2**64 - 1).map(str),
    "jsonpath": st.sampled_from(["$", 'strict $."a b"[*] ? (@.x > 1.10)', "lax $.datetime()"]),
}  # fmt: skip

# Rows of a few types at once (all at once would cost seconds), the others NULL.
rows = st.lists(st.sampled_from(sorted(VALUES)), max_size=5, unique=True).flatmap(
    lambda kinds: st.fixed_dictionaries({kind: VALUES[kind] for kind in kinds})
)

# -- the sessions in which a row is inserted and verified -----------------------------------------------------------

sessions = st.fixed_dictionaries({
    "TimeZone": st.sampled_from(["UTC", "Asia/Kathmandu", "America/St_Johns", "Europe/Berlin", "<-13>+13"]),
    "DateStyle": st.sampled_from(["ISO, YMD", "SQL, DMY", "German", "Postgres, MDY"]),
    "IntervalStyle": st.sampled_from(["postgres", "postgres_verbose", "sql_standard", "iso_8601"]),
    "bytea_output": st.sampled_from(["hex", "escape"]),
    "extra_float_digits": st.sampled_from(["-15", "0", "1", "3"]),
    "search_path": st.sampled_from(["public", "pg_catalog", "", "decoy, public", "public, decoy, pg_catalog"]),
    "lc_numeric": st.sampled_from(["C", "C.UTF-8"]),
    "xmlbinary": st.sampled_from(["base64", "hex"]),
    "quote_all_identifiers": st.sampled_from(["on", "off"]),
    "client_min_messages": st.just("warning"),
})  # fmt: skip
