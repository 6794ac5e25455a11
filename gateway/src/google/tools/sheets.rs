//! `sheets_get_values`, `sheets_get_metadata`.

#![expect(clippy::struct_field_names, reason = "the names are those of Google's API")]

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::CoreTool;
use crate::google::client::Call;
use crate::google::error::{ErrorCode, ToolError};
use crate::google::request::{Product, Request};

/// Characters of all cells together. A row that does not fit ends the answer.
const CELL_CHARS_MAX: usize = 100_000;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ValuesArgs {
    /// Identifier of the spreadsheet: the part of its URL after `/spreadsheets/d/`.
    #[schemars(length(min = 1, max = 200))]
    spreadsheet_id: String,
    /// A1 notation, e.g. `Sheet1!A1:D50`, `'My sheet'!A:C`, a sheet's name alone, or a named range.
    #[schemars(length(min = 1, max = 500))]
    range: String,
    /// Rows to return.
    #[serde(default = "rows")]
    #[schemars(range(min = 1, max = 5000))]
    max_rows: u32,
    /// `FORMATTED_VALUE`: as people see it; `UNFORMATTED_VALUE`: numbers as numbers; `FORMULA`: formulas.
    #[serde(default)]
    value_render: ValueRender,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
enum ValueRender {
    #[default]
    #[serde(rename = "FORMATTED_VALUE")]
    Formatted,
    #[serde(rename = "UNFORMATTED_VALUE")]
    Unformatted,
    #[serde(rename = "FORMULA")]
    Formula,
}

// The schema shows the default, so the type serializes too.
impl Serialize for ValueRender {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl ValueRender {
    fn as_str(self) -> &'static str {
        match self {
            Self::Formatted => "FORMATTED_VALUE",
            Self::Unformatted => "UNFORMATTED_VALUE",
            Self::Formula => "FORMULA",
        }
    }
}

fn rows() -> u32 {
    500
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct MetadataArgs {
    /// Identifier of the spreadsheet: the part of its URL after `/spreadsheets/d/`.
    #[schemars(length(min = 1, max = 200))]
    spreadsheet_id: String,
}

/// `ValueRange` of Sheets v4.
#[derive(Debug, Deserialize)]
struct ValueRange {
    range: String,
    #[serde(default)]
    values: Vec<Vec<Value>>,
}

/// The values of a range.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Values {
    /// The range that was read, as Sheets understood it.
    range: String,
    /// Rows from the top. Sheets leaves out empty cells at the end of a row and empty rows at the end.
    #[schemars(schema_with = "cells")]
    values: Vec<Vec<Value>>,
    /// Rows with values in the range.
    total_rows: usize,
    /// Rows are missing from `values`.
    truncated: bool,
    /// The `range` to call again with for the rows that follow.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_range: Option<String>,
}

fn cells(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": { "type": "array", "items": { "type": ["string", "number", "boolean"] } }
    })
}

/// `Spreadsheet` of Sheets v4.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spreadsheet {
    spreadsheet_id: String,
    spreadsheet_url: Option<String>,
    #[serde(default)]
    properties: SpreadsheetProperties,
    #[serde(default)]
    sheets: Vec<Sheet>,
    #[serde(default)]
    named_ranges: Vec<RawNamedRange>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SpreadsheetProperties {
    title: String,
    locale: Option<String>,
    time_zone: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Sheet {
    properties: SheetProperties,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SheetProperties {
    sheet_id: i64,
    title: String,
    sheet_type: Option<String>,
    hidden: bool,
    grid_properties: Option<Grid>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Grid {
    row_count: u64,
    column_count: u64,
}

#[derive(Debug, Deserialize)]
struct RawNamedRange {
    name: String,
    #[serde(default)]
    range: GridRange,
}

/// Zero-based and half open; what is absent is unbounded.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct GridRange {
    sheet_id: i64,
    start_row_index: Option<u64>,
    end_row_index: Option<u64>,
    start_column_index: Option<u64>,
    end_column_index: Option<u64>,
}

/// What a spreadsheet consists of.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metadata {
    spreadsheet_id: String,
    title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    locale: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time_zone: Option<String>,
    /// In the order of their tabs.
    sheets: Vec<SheetInfo>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    named_ranges: Vec<NamedRange>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct SheetInfo {
    sheet_id: i64,
    title: String,
    /// `GRID`, `OBJECT` (a chart) or `DATA_SOURCE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    sheet_type: Option<String>,
    /// Size of the grid, empty cells included.
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    columns: Option<u64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    hidden: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
struct NamedRange {
    name: String,
    /// In A1 notation.
    range: String,
}

pub(super) fn values_request(spreadsheet: &str, range: &str, render: &str) -> Request {
    Request::new(Product::Sheets, &["spreadsheets", spreadsheet, "values", range])
        .with("majorDimension", "ROWS")
        .with("valueRenderOption", render)
        .with("dateTimeRenderOption", "FORMATTED_STRING")
        .with("fields", "range,values")
}

pub(super) fn metadata_request(spreadsheet: &str) -> Request {
    Request::new(Product::Sheets, &["spreadsheets", spreadsheet]).with(
        "fields",
        "spreadsheetId,spreadsheetUrl,properties(title,locale,timeZone),\
         sheets/properties(sheetId,title,sheetType,hidden,gridProperties(rowCount,columnCount)),\
         namedRanges(name,range)",
    )
}

/// `sheets_get_values`.
pub(super) struct GetValues;

impl CoreTool for GetValues {
    const NAME: &'static str = "sheets_get_values";
    const TITLE: &'static str = "Read cells";
    const DESCRIPTION: &'static str = "Reads the cells of a range of a Google Sheets spreadsheet, row by row. \
        Call `sheets_get_metadata` first if the names or sizes of the sheets are not known. When rows are \
        missing, `nextRange` in the answer is the range to go on with.";
    type Args = ValuesArgs;
    type Output = Values;

    async fn run(call: &Call<'_>, args: ValuesArgs) -> Result<Values, ToolError> {
        let request = values_request(&args.spreadsheet_id, &args.range, args.value_render.as_str());
        let answer: ValueRange = call.json(&request).await.map_err(|error| match error.code {
            ErrorCode::InvalidArgument => {
                error.hinting("`sheets_get_metadata` tells sheets and named ranges")
            }
            _ => error,
        })?;
        Ok(answer.cut(usize::try_from(args.max_rows).unwrap_or(usize::MAX)))
    }
}

/// `sheets_get_metadata`.
pub(super) struct GetMetadata;

impl CoreTool for GetMetadata {
    const NAME: &'static str = "sheets_get_metadata";
    const TITLE: &'static str = "Describe a spreadsheet";
    const DESCRIPTION: &'static str = "Tells the title, time zone, sheets with their sizes, and named ranges of \
        a Google Sheets spreadsheet, without its cells.";
    type Args = MetadataArgs;
    type Output = Metadata;

    async fn run(call: &Call<'_>, args: MetadataArgs) -> Result<Metadata, ToolError> {
        let answer: Spreadsheet = call.json(&metadata_request(&args.spreadsheet_id)).await?;
        Ok(answer.into())
    }
}

impl ValueRange {
    fn cut(mut self, max_rows: usize) -> Values {
        let total_rows = self.values.len();
        let mut chars = 0;
        let fits = |row: &&Vec<Value>| {
            chars += row
                .iter()
                .map(|cell| cell.to_string().chars().count())
                .sum::<usize>();
            chars <= CELL_CHARS_MAX
        };
        // One row is always returned, however long it is: else nobody would get past it.
        let fitting = self.values.iter().take_while(fits).count().max(1);
        self.values.truncate(max_rows.min(fitting));
        let shown = self.values.len();
        let truncated = shown < total_rows;
        Values {
            next_range: truncated.then(|| rows_after(&self.range, shown)).flatten(),
            range: self.range,
            values: self.values,
            total_rows,
            truncated,
        }
    }
}

/// The rest of `range` (`Sheet!A1:D9`, as Sheets echoes it) below its first `shown` rows.
fn rows_after(range: &str, shown: usize) -> Option<String> {
    let (sheet, cells) = range.rsplit_once('!')?;
    let (start, end) = cells.split_once(':')?;
    let digits = start.find(|c: char| c.is_ascii_digit()).unwrap_or(start.len());
    let (column, row) = start.split_at(digits);
    let row: usize = if row.is_empty() { 1 } else { row.parse().ok()? };
    Some(format!("{sheet}!{column}{}:{end}", row + shown))
}

impl From<Spreadsheet> for Metadata {
    fn from(raw: Spreadsheet) -> Self {
        let title = |id: i64| {
            let mut sheets = raw.sheets.iter().map(|sheet| &sheet.properties);
            sheets
                .find(|sheet| sheet.sheet_id == id)
                .map_or("", |sheet| &sheet.title)
        };
        let named = |named: &RawNamedRange| NamedRange {
            name: named.name.clone(),
            range: named.range.a1(title(named.range.sheet_id)),
        };
        let named_ranges = raw.named_ranges.iter().map(named).collect();
        let info = |sheet: Sheet| SheetInfo {
            sheet_id: sheet.properties.sheet_id,
            title: sheet.properties.title,
            sheet_type: sheet.properties.sheet_type,
            rows: sheet
                .properties
                .grid_properties
                .as_ref()
                .map(|grid| grid.row_count),
            columns: sheet
                .properties
                .grid_properties
                .as_ref()
                .map(|grid| grid.column_count),
            hidden: sheet.properties.hidden,
        };
        Self {
            named_ranges,
            spreadsheet_id: raw.spreadsheet_id,
            title: raw.properties.title,
            url: raw.spreadsheet_url,
            locale: raw.properties.locale,
            time_zone: raw.properties.time_zone,
            sheets: raw.sheets.into_iter().map(info).collect(),
        }
    }
}

impl GridRange {
    /// A1 notation with the sheet's name quoted.
    fn a1(&self, sheet: &str) -> String {
        let sheet = sheet.replace('\'', "''");
        let corner = |column: Option<u64>, row: Option<u64>| {
            let row = row.map(|row| row.to_string()).unwrap_or_default();
            column.map(column_letters).unwrap_or_default() + &row
        };
        let start = corner(self.start_column_index, self.start_row_index.map(|row| row + 1));
        let last_column = self.end_column_index.map(|column| column.saturating_sub(1));
        let end = corner(last_column, self.end_row_index);
        match (start.is_empty(), end.is_empty()) {
            (true, true) => format!("'{sheet}'"),
            _ => format!("'{sheet}'!{start}:{end}"),
        }
    }
}

/// 0 is `A`, 26 is `AA`.
fn column_letters(index: u64) -> String {
    let mut letters = Vec::new();
    let mut rest = index + 1;
    while rest > 0 {
        let digit = u8::try_from((rest - 1) % 26).unwrap_or_default();
        letters.push(char::from(b'A' + digit));
        rest = (rest - 1) / 26;
    }
    letters.iter().rev().collect()
}

#[cfg(test)]
mod tests;
