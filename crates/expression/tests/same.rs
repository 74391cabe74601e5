//! What the server printed at first, what it printed once it had read that, and what is something else.

use pgseal_expression::is_same;
use proptest::prelude::*;

/// As PostgreSQL 15 printed them, before a dump and after its restore.
const READ_AGAIN: [(&str, &str); 17] = [
    (
        "((s)::text = ANY ((ARRAY['a'::character varying, 'b''c'::character varying])::text[]))",
        "((s)::text = ANY (ARRAY[('a'::character varying)::text, ('b''c'::character varying)::text]))",
    ),
    (
        r#"(s = ANY ((ARRAY['a\'::character varying, 'E''x, '::character varying, '](['::character varying, '"'::character varying])::text[]))"#,
        r#"(s = ANY (ARRAY[('a\'::character varying)::text, ('E''x, '::character varying)::text, ('](['::character varying)::text, ('"'::character varying)::text]))"#,
    ),
    (
        r#"(("Q c")::text = ANY ((ARRAY["Q c", "]"])::text[]))"#,
        r#"(("Q c")::text = ANY (ARRAY[("Q c")::text, ("]")::text]))"#,
    ),
    ("(n = ANY ((ARRAY[1, 2])::numeric[]))", "(n = ANY (ARRAY[(1)::numeric, (2)::numeric]))"),
    ("(n = ANY ((ARRAY[(1)::bigint, i8])::numeric[]))", "(n = ANY (ARRAY[((1)::bigint)::numeric, (i8)::numeric]))"),
    (
        "(ARRAY[t] <@ (ARRAY['a'::text])::character varying(10)[])",
        "(ARRAY[t] <@ ARRAY[('a'::text)::character varying(10)])",
    ),
    (
        "(ts = ANY ((ARRAY[d])::timestamp(3) without time zone[]))",
        "(ts = ANY (ARRAY[(d)::timestamp(3) without time zone]))",
    ),
    (
        "(n = ANY ((ARRAY[1.25])::numeric(4,1)[])) = (ARRAY[x])::public.\"My (own) type\"[]",
        "(n = ANY (ARRAY[(1.25)::numeric(4,1)])) = ARRAY[(x)::public.\"My (own) type\"]",
    ),
    (
        "public.takes_text((ARRAY[ARRAY[s, s2], ARRAY[s, lower(s, 'x, y')]])::text[])",
        "public.takes_text(ARRAY[ARRAY[(s)::text, (s2)::text], ARRAY[(s)::text, (lower(s, 'x, y'))::text]])",
    ),
    (
        "f((ARRAY['{a}'::character varying[], (x)::character varying[]])::text[])",
        "f(ARRAY[('{a}'::character varying[])::text[], ((x)::character varying[])::text[]])",
    ),
    (
        "(s = ANY ((ARRAY[('a'::character varying COLLATE \"C\"), 'b'::character varying])::text[]))",
        "(s = ANY (ARRAY[(('a'::character varying)::text COLLATE \"C\"), ('b'::character varying)::text]))",
    ),
    (
        "(s = ANY ((ARRAY[a,\nCASE\n    WHEN b THEN c\n    ELSE d\nEND])::text[]))",
        "(s = ANY (ARRAY[(a)::text, (\nCASE\n    WHEN b THEN c\n    ELSE d\nEND)::text]))",
    ),
    ("var_num(VARIADIC (ARRAY[i, 2])::numeric[])", "var_num(VARIADIC ARRAY[(i)::numeric, (2)::numeric])"),
    ("f(((ARRAY[a])::character varying[])::text[])", "f(ARRAY[((a)::character varying)::text])"),
    ("CHECK ((((i >= 1) AND (i <= 2)) AND (i > 3)))", "CHECK (((i >= 1) AND (i <= 2) AND (i > 3)))"),
    (
        "CHECK (((((s <> ALL ((ARRAY['a'::character varying])::text[])) AND (s <> t)) AND (s <> lower(t))) OR b))",
        "CHECK ((((s <> ALL (ARRAY[('a'::character varying)::text])) AND (s <> t) AND (s <> lower(t))) OR b))",
    ),
    (
        "CHECK ((((((a = 1) AND (b = 1)) OR ((a = 2) AND (b = 2))) OR (a = 3)) OR (a = 4)))",
        "CHECK ((((a = 1) AND (b = 1)) OR ((a = 2) AND (b = 2)) OR (a = 3) OR (a = 4)))",
    ),
];

#[test]
fn what_the_server_prints_after_reading_is_the_same() {
    for (first, again) in READ_AGAIN {
        assert_ne!(first, again);
        assert!(is_same(first, again) && is_same(again, first), "{first}\n{again}");
        // Several in one text, of which some may have been read again.
        assert!(is_same(&format!("({first}) OR ({first})"), &format!("({again}) OR ({first})")), "{first}");
    }
}

#[test]
fn no_two_of_them_are_the_same() {
    for (place, (first, _)) in READ_AGAIN.iter().enumerate() {
        for (_, again) in &READ_AGAIN[place + 1..] {
            assert!(!is_same(first, again), "{first}\n{again}");
        }
    }
}

#[test]
fn a_real_change_is_none_of_spelling() {
    let changed = [
        // Another element, order, number, type, and modifier.
        ("(ARRAY[a, b])::text[]", "ARRAY[(a)::text, (c)::text]"),
        ("(ARRAY[a, b])::text[]", "ARRAY[(b)::text, (a)::text]"),
        ("(ARRAY[a, b])::text[]", "ARRAY[(a)::text]"),
        ("(ARRAY[a, b])::text[]", "ARRAY[(a)::text, (b)::name]"),
        ("(ARRAY[a, b])::text[]", "ARRAY[(a)::text, b]"),
        ("(ARRAY[a])::varchar(3)[]", "ARRAY[(a)::varchar(4)]"),
        ("(ARRAY[a])::varchar(3)[]", "ARRAY[(a)::varchar]"),
        ("(ARRAY[a])::text[]", "ARRAY[a]"),
        ("(ARRAY[a])::text[]", "ARRAY[(a)::text[]]"),
        ("(ARRAY[a])::text[]", "(ARRAY[a])::text"),
        ("f(ARRAY[a])::text[]", "fARRAY[(a)::text]"),
        ("(ARRAY[ARRAY[a], ARRAY[b]])::text[]", "ARRAY[ARRAY[(a)::text, (b)::text]]"),
        // Within strings and names nothing is an array or a connective.
        ("'(ARRAY[a])::text[]'::text", "'ARRAY[(a)::text]'::text"),
        ("\"(ARRAY[a])::text[]\"", "\"ARRAY[(a)::text]\""),
        ("'x''(ARRAY[a])::text[]'", "'x''ARRAY[(a)::text]'"),
        ("('((a AND b) AND c)')", "('(a AND b AND c)')"),
        ("'a, b'", "'a,b'"),
        // The server leaves these as they are, or they mean something else.
        ("(a AND (b AND c))", "(a AND b AND c)"),
        ("((a AND b) OR c)", "(a AND b OR c)"),
        ("((a OR b) AND c)", "(a OR b AND c)"),
        ("((a AND b) AND c)", "(a AND c AND b)"),
        ("((a AND b) AND c)", "((a AND b) OR c)"),
        ("((a AND b))", "(a AND b)"),
        ("(NOT (a AND b) AND c)", "(NOT a AND b AND c)"),
        // No text of the server's.
        ("((a AND b) AND c", "(a AND b AND c"),
        ("((ARRAY[a)])::text[]", "ARRAY[(a)::text]"),
        ("('((a AND b) AND c)", "('(a AND b AND c)"),
    ];
    for (one, other) in changed {
        assert!(!is_same(one, other) && !is_same(other, one), "{one}\n{other}");
        assert!(is_same(one, one));
    }
}

#[test]
fn long_lists_and_deep_brackets_are_read() {
    let (mut first, mut again) = (String::from("(a OR b)"), String::from("(a OR b"));
    for place in 0..900 {
        first = format!("({first} OR (c = {place}))");
        again = format!("{again} OR (c = {place})");
    }
    assert!(is_same(&first, &format!("{again})")));
    let deep = "(".repeat(100_000);
    assert!(!is_same(&deep, &format!("{deep} ")));
}

proptest! {
    /// Whatever the text is, nothing panics, and a text that has no such expression is only itself.
    #[test]
    fn any_text_is_itself(one in r#"([]\[()'",a:]|::text|\[\]|\(ARRAY\[| AND | OR | COLLATE ){0,30}"#, other in "[a-z ]{0,20}") {
        prop_assert!(is_same(&one, &one));
        prop_assert_eq!(is_same(&one, &other), one == other);
    }
}
