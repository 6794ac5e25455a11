//! A Google document as readable text: headings, lists and tables in Markdown's notation. Pure.

#![expect(clippy::struct_field_names, reason = "the names are those of Google's API")]

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;

/// `Tab` of Docs v1.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Tab {
    /// Name and place of the tab.
    pub(crate) tab_properties: TabProperties,
    document_tab: DocumentTab,
    /// Tabs below this one.
    pub(crate) child_tabs: Vec<Tab>,
}

/// `TabProperties` of Docs v1.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct TabProperties {
    /// The identifier that URLs carry.
    pub(crate) tab_id: String,
    /// The name that people gave.
    pub(crate) title: String,
    /// 0 for a tab at the top.
    pub(crate) nesting_level: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct DocumentTab {
    body: Content,
    lists: BTreeMap<String, List>,
    footnotes: BTreeMap<String, Content>,
}

/// `Body`, `TableCell` or `Footnote`: whatever holds structural elements.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Content {
    content: Vec<Element>,
}

/// `StructuralElement`. A table of contents only repeats the headings, and is left out.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Element {
    paragraph: Option<Paragraph>,
    table: Option<Table>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Paragraph {
    elements: Vec<Inline>,
    paragraph_style: ParagraphStyle,
    bullet: Option<Bullet>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ParagraphStyle {
    named_style_type: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Bullet {
    list_id: String,
    nesting_level: usize,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct List {
    list_properties: ListProperties,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ListProperties {
    nesting_levels: Vec<NestingLevel>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct NestingLevel {
    glyph_type: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Table {
    table_rows: Vec<Row>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Row {
    table_cells: Vec<Content>,
}

/// `ParagraphElement`: exactly one of the members is set. Those without text have no member here.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Inline {
    text_run: Option<TextRun>,
    person: Option<Person>,
    rich_link: Option<RichLink>,
    date_element: Option<DateElement>,
    footnote_reference: Option<FootnoteReference>,
    inline_object_element: Option<serde::de::IgnoredAny>,
    equation: Option<serde::de::IgnoredAny>,
    horizontal_rule: Option<serde::de::IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct TextRun {
    content: String,
    text_style: TextStyle,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TextStyle {
    link: Option<Link>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Link {
    url: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Person {
    person_properties: PersonProperties,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PersonProperties {
    name: String,
    email: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RichLink {
    rich_link_properties: RichLinkProperties,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RichLinkProperties {
    title: String,
    uri: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DateElement {
    date_element_properties: DateProperties,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DateProperties {
    display_text: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct FootnoteReference {
    footnote_id: String,
    footnote_number: String,
}

impl Tab {
    /// The tab and all tabs below it, in the order of the side bar.
    pub(crate) fn flattened(&self) -> Vec<&Self> {
        let below = self.child_tabs.iter().flat_map(Self::flattened);
        std::iter::once(self).chain(below).collect()
    }

    /// The text of this tab alone.
    pub(crate) fn text(&self) -> String {
        let mut writer = Writer {
            tab: &self.document_tab,
            notes: Vec::new(),
        };
        let mut out = writer.content(&self.document_tab.body);
        // Notes are written once, in the order in which the text refers to them; they hold none themselves.
        for note in std::mem::take(&mut writer.notes) {
            if let Some(content) = self.document_tab.footnotes.get(&note.footnote_id) {
                let text = writer.content(content);
                let _ = write!(out, "\n\n[^{}]: {}", note.footnote_number, text.trim());
            }
        }
        out.trim().to_owned()
    }
}

struct Writer<'a> {
    tab: &'a DocumentTab,
    notes: Vec<&'a FootnoteReference>,
}

impl<'a> Writer<'a> {
    fn content(&mut self, content: &'a Content) -> String {
        let mut out = String::new();
        let mut in_list = false;
        for element in &content.content {
            let (block, is_item) = match element {
                Element {
                    paragraph: Some(paragraph),
                    ..
                } => (self.paragraph(paragraph), paragraph.bullet.is_some()),
                Element {
                    table: Some(table), ..
                } => (self.table(table), false),
                Element { .. } => continue,
            };
            if block.trim().is_empty() {
                continue;
            }
            if !out.is_empty() {
                out.push_str(if in_list && is_item { "\n" } else { "\n\n" });
            }
            out.push_str(&block);
            in_list = is_item;
        }
        out
    }

    fn paragraph(&mut self, paragraph: &'a Paragraph) -> String {
        let mut text = String::new();
        for inline in &paragraph.elements {
            self.inline(&mut text, inline);
        }
        // A vertical tab is Docs' line break inside a paragraph.
        let text = text.replace('\u{b}', "\n");
        let text = text.trim_end();
        if let Some(bullet) = &paragraph.bullet {
            let indent = "  ".repeat(bullet.nesting_level);
            return format!("{indent}{} {text}", self.marker(bullet));
        }
        let level = match paragraph.paragraph_style.named_style_type.as_str() {
            "TITLE" => 1,
            style => style
                .strip_prefix("HEADING_")
                .and_then(|n| n.parse().ok())
                .unwrap_or(0),
        };
        if level == 0 || text.is_empty() {
            return text.to_owned();
        }
        format!("{} {text}", "#".repeat(level))
    }

    fn marker(&self, bullet: &Bullet) -> &'static str {
        let list = self.tab.lists.get(&bullet.list_id);
        let level = list.and_then(|list| list.list_properties.nesting_levels.get(bullet.nesting_level));
        match level.and_then(|level| level.glyph_type.as_deref()) {
            None | Some("GLYPH_TYPE_UNSPECIFIED" | "NONE") => "-",
            Some(_) => "1.",
        }
    }

    fn inline(&mut self, out: &mut String, inline: &'a Inline) {
        if let Some(run) = &inline.text_run {
            let text = run.content.trim_end_matches('\n');
            match run.text_style.link.as_ref().and_then(|link| link.url.as_deref()) {
                Some(url) if !text.trim().is_empty() && text != url => {
                    let _ = write!(out, "[{text}]({url})");
                }
                _ => out.push_str(text),
            }
        } else if let Some(person) = &inline.person {
            let PersonProperties { name, email } = &person.person_properties;
            if name.is_empty() {
                out.push_str(email);
            } else {
                let _ = write!(out, "{name} <{email}>");
            }
        } else if let Some(link) = &inline.rich_link {
            let RichLinkProperties { title, uri } = &link.rich_link_properties;
            let _ = write!(out, "[{title}]({uri})");
        } else if let Some(date) = &inline.date_element {
            out.push_str(&date.date_element_properties.display_text);
        } else if let Some(note) = &inline.footnote_reference {
            let _ = write!(out, "[^{}]", note.footnote_number);
            self.notes.push(note);
        } else if inline.inline_object_element.is_some() {
            out.push_str("[image]");
        } else if inline.equation.is_some() {
            out.push_str("[equation]");
        } else if inline.horizontal_rule.is_some() {
            out.push_str("---");
        }
    }

    fn table(&mut self, table: &'a Table) -> String {
        let mut out = String::new();
        for (index, row) in table.table_rows.iter().enumerate() {
            out.push('|');
            for cell in &row.table_cells {
                let text = self.content(cell).replace('|', "\\|");
                let lines: Vec<_> = text.lines().filter(|line| !line.is_empty()).collect();
                let _ = write!(out, " {} |", lines.join("<br>"));
            }
            out.push('\n');
            if index == 0 {
                let _ = writeln!(out, "|{}", " --- |".repeat(row.table_cells.len()));
            }
        }
        out.trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests;
