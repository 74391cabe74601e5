//! What is refused, and where the fault is said to be.

use pgseal_schedule::Schedule;
use proptest::prelude::*;

fn detail(expression: &str) -> String {
    let fault = Schedule::parse(expression).expect_err(expression);
    assert_eq!(fault.to_string(), format!("invalid schedule \"{expression}\""));
    fault.detail()
}

#[test]
fn the_place_is_named() {
    for (expression, expected) in [
        ("", "Character 1: it has 0 fields, not 5 or 6."),
        ("   ", "Character 1: it has 0 fields, not 5 or 6."),
        ("daily", "Character 6: it has 1 field, not 5 or 6."),
        ("0 3 * *", "Character 8: it has 4 fields, not 5 or 6."),
        ("0 0 3 * * * 2026", "Character 13: it has 7 fields, not 5 or 6."),
        ("60 * * * *", "Field 1 (minute), character 1: 60 is not within 0 to 59."),
        ("0 24 * * *", "Field 2 (hour), character 3: 24 is not within 0 to 23."),
        ("0 1,5,25 * * *", "Field 2 (hour), character 7: 25 is not within 0 to 23."),
        ("0 3 0 * *", "Field 3 (day of month), character 5: 0 is not within 1 to 31."),
        ("0 3 1-32 * *", "Field 3 (day of month), character 7: 32 is not within 1 to 31."),
        ("0 3 * 13 *", "Field 4 (month), character 7: 13 is not within 1 to 12."),
        ("0 3 * * 8", "Field 5 (day of week), character 9: 8 is not within 0 to 7."),
        ("60 0 3 * * *", "Field 1 (second), character 1: 60 is not within 0 to 59."),
        ("0 60 3 * * *", "Field 2 (minute), character 3: 60 is not within 0 to 59."),
        ("  0   3x * * *", "Field 2 (hour), character 8: 'x' cannot stand here."),
        ("0 3 * * FOO", "Field 5 (day of week), character 9: 'FOO' means nothing here."),
        ("0 3 * MON *", "Field 4 (month), character 7: 'MON' means nothing here."),
        ("0 MON * * *", "Field 2 (hour), character 3: 'M' cannot stand here."),
        ("0 3 * * MON-FOO", "Field 5 (day of week), character 13: 'FOO' means nothing here."),
        ("0 3 ? * *", "Field 3 (day of month), character 5: '?' cannot stand here."),
        ("0 3 1ä * *", "Field 3 (day of month), character 6: 'ä' cannot stand here."),
        ("ä 3 25x 13 8", "Field 1 (minute), character 1: 'ä' cannot stand here."),
        ("0 3 * * 1,,2", "Field 5 (day of week), character 11: a value is missing."),
        ("0 3, * * *", "Field 2 (hour), character 5: a value is missing."),
        ("*/0 * * * *", "Field 1 (minute), character 1: '*/0' means nothing here."),
        ("0 5-2 * * *", "Field 2 (hour), character 3: '5-2' means nothing here."),
        ("0 1,5-2,7 * * *", "Field 2 (hour), character 5: '5-2' means nothing here."),
        ("0/10 * * * *", "Field 1 (minute), character 1: '0/10' means nothing here."),
        ("99999999999999999999 * * * *", "Field 1 (minute), character 1: 99999999999999999999 is not within 0 to 59."),
        ("0 3 * * MON#6", "Field 5 (day of week), character 9: 'MON#6' means nothing here."),
        ("@reboot", "Character 1: '@reboot' is not one of @hourly, @daily, @weekly, @monthly, @yearly, @annually."),
        ("@daily 3", "Character 9: it has 2 fields, not 5 or 6."),
        ("0 0 30 2 *", "Such a date never comes."),
        ("0 0 31 4,6,9,11 *", "Such a date never comes."),
    ] {
        assert_eq!(detail(expression), expected, "{expression}");
    }
    assert_eq!(detail(&"* ".repeat(101)), "Character 201: it has more than 200 characters.");
}

#[test]
fn what_is_taken() {
    for expression in [
        "0 3 * * *",
        " 0  3 * * * ",
        "0\t3 * * *",
        "@daily",
        "@HOURLY",
        "0 3 * jan,Dec mon-fri",
        "0 3 1-31/2 * *",
        "*/5 * * * *",
        "0-30/10 0-6 * * 0,6,7",
        "0 3 LW * *",
        "0 3 15W * *",
        "0 3 * * FRI#L",
        "0 3 * * 1L",
    ] {
        assert!(Schedule::parse(expression).is_ok(), "{expression}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Anything at all: no panic, and the place lies in the text or right behind it.
    #[test]
    fn any_text(text in "[-*/,0-9a-zA-Z#@?+ ]{0,24}|[0-9*/,\\-LW# ]{5,20}|\\PC{0,12}") {
        let place = Schedule::parse(&text).err().and_then(|fault| fault.place);
        prop_assert!(place.is_none_or(|place| (1..=text.chars().count() + 1).contains(&place.character)));
    }

    #[test]
    fn any_fields(fields in prop::collection::vec("[0-9]{1,2}(-[0-9]{1,2})?(/[0-9])?|\\*(/[0-9]{1,2})?|L|[0-9]L|[0-9]#[0-9]|[0-9]{1,2}W", 5..=6)) {
        let _ = Schedule::parse(&fields.join(" "));
    }
}
