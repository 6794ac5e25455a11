//! Rows that are cut, and ranges in A1 notation.

use serde_json::json;

use super::*;

fn answer(range: &str, values: &Value) -> ValueRange {
    serde_json::from_value(json!({ "range": range, "values": values })).unwrap()
}

#[test]
fn ragged_rows_stay_as_they_are() {
    let values = answer("Sheet1!A1:C3", &json!([["Name", 3, true], [], ["Zoe"]])).cut(10);
    assert_eq!(
        values.values,
        vec![
            vec![json!("Name"), json!(3), json!(true)],
            vec![],
            vec![json!("Zoe")]
        ]
    );
    assert_eq!(
        (values.total_rows, values.truncated, values.next_range),
        (3, false, None)
    );
}

#[test]
fn missing_rows_are_announced_with_the_range_to_go_on_with() {
    let values = answer("'My sheet'!B3:D1000", &json!([[1], [2], [3]])).cut(2);
    assert_eq!(values.values.len(), 2);
    assert_eq!(values.next_range.as_deref(), Some("'My sheet'!B5:D1000"));
    assert!(values.truncated);
}

#[test]
fn a_row_that_does_not_fit_ends_the_answer_but_one_row_always_comes() {
    let long = "x".repeat(60_000);
    let values = answer("S!A1:A3", &json!([[long], [long], [1]])).cut(10);
    assert_eq!(
        (values.values.len(), values.next_range.as_deref()),
        (1, Some("S!A2:A3"))
    );
    let huge = "x".repeat(CELL_CHARS_MAX + 1);
    assert_eq!(answer("S!A1:A1", &json!([[huge]])).cut(10).values.len(), 1);
}

#[test]
fn an_empty_range_is_no_rows() {
    let empty: ValueRange = serde_json::from_value(json!({ "range": "S!A1:B2" })).unwrap();
    let values = empty.cut(10);
    assert_eq!((values.total_rows, values.truncated), (0, false));
}

#[test]
fn the_rest_of_a_range_begins_below_the_rows_shown() {
    for (range, rest) in [
        ("S!A1:D9", Some("S!A3:D9")),
        ("S!A:C", Some("S!A3:C")),
        ("'a!b:c'!AA10:AB20", Some("'a!b:c'!AA12:AB20")),
        ("S!A1", None),
        ("named", None),
    ] {
        assert_eq!(rows_after(range, 2).as_deref(), rest, "{range}");
    }
}

#[test]
fn columns_are_lettered_as_sheets_does() {
    for (index, letters) in [
        (0, "A"),
        (25, "Z"),
        (26, "AA"),
        (51, "AZ"),
        (52, "BA"),
        (701, "ZZ"),
        (702, "AAA"),
    ] {
        assert_eq!(column_letters(index), letters);
    }
}

#[test]
fn metadata_names_sheets_with_sizes_and_named_ranges_in_a1() {
    let raw: Spreadsheet = serde_json::from_value(json!({
        "spreadsheetId": "s1",
        "properties": { "title": "Budget", "timeZone": "Europe/Berlin" },
        "sheets": [
            { "properties": { "title": "Q1", "sheetType": "GRID",
                "gridProperties": { "rowCount": 100, "columnCount": 26 } } },
            { "properties": { "sheetId": 7, "title": "Ana's chart", "sheetType": "OBJECT", "hidden": true } }
        ],
        "namedRanges": [
            { "name": "Totals", "range": { "startRowIndex": 0, "endRowIndex": 10,
                "startColumnIndex": 0, "endColumnIndex": 3 } },
            { "name": "Column", "range": { "sheetId": 7, "startColumnIndex": 1, "endColumnIndex": 2 } },
            { "name": "All", "range": { "sheetId": 7 } }
        ]
    }))
    .unwrap();
    assert_eq!(
        serde_json::to_value(Metadata::from(raw)).unwrap(),
        json!({
            "spreadsheetId": "s1", "title": "Budget", "timeZone": "Europe/Berlin",
            "sheets": [
                { "sheetId": 0, "title": "Q1", "sheetType": "GRID", "rows": 100, "columns": 26 },
                { "sheetId": 7, "title": "Ana's chart", "sheetType": "OBJECT", "hidden": true }
            ],
            "namedRanges": [
                { "name": "Totals", "range": "'Q1'!A1:C10" },
                { "name": "Column", "range": "'Ana''s chart'!B:B" },
                { "name": "All", "range": "'Ana''s chart'" }
            ]
        })
    );
}
