//! A document with everything that carries text.

use serde_json::{Value, json};

use super::*;

fn run(text: &str) -> Value {
    json!({ "textRun": { "content": text } })
}

fn paragraph(style: &str, elements: &[Value]) -> Value {
    json!({ "paragraph": { "elements": elements, "paragraphStyle": { "namedStyleType": style } } })
}

fn bullet(list: &str, level: usize, text: &str) -> Value {
    json!({ "paragraph": { "elements": [run(text)], "bullet": { "listId": list, "nestingLevel": level } } })
}

fn cell(text: &str) -> Value {
    json!({ "content": [paragraph("NORMAL_TEXT", &[run(text)])] })
}

#[test]
fn a_document_reads_like_markdown() {
    let link = json!({ "textRun": { "content": "here\n", "textStyle": { "link": { "url": "https://example.com/" } } } });
    let bare = json!({ "textRun": { "content": "https://example.com/", "textStyle": { "link": { "url": "https://example.com/" } } } });
    let ana = json!({ "person": { "personProperties": { "name": "Ana", "email": "ana@example.com" } } });
    let chip = json!({ "richLink": { "richLinkProperties": { "title": "Plan", "uri": "https://example.com/plan" } } });
    let date = json!({ "dateElement": { "dateElementProperties": { "displayText": "Nov 20, 2026" } } });
    let note = json!({ "footnoteReference": { "footnoteId": "kix.1", "footnoteNumber": "1" } });
    let tab: Tab = serde_json::from_value(json!({ "documentTab": {
        "body": { "content": [
            { "sectionBreak": {} },
            paragraph("TITLE", &[run("Launch\n")]),
            paragraph("HEADING_2", &[run("Who\n")]),
            paragraph("NORMAL_TEXT", &[run("Ask "), ana, run(" on "), date, run(", see "), chip, run(" or "), link]),
            paragraph("NORMAL_TEXT", &[run("\n")]),
            bullet("ul", 0, "first\n"),
            bullet("ul", 1, "nested\n"),
            bullet("ol", 0, "step\n"),
            paragraph("NORMAL_TEXT", &[run("two\u{b}lines "), bare, note, json!({ "inlineObjectElement": {} })]),
            { "table": { "tableRows": [
                { "tableCells": [cell("Name\n"), cell("a|b\n")] },
                { "tableCells": [{ "content": [
                    paragraph("NORMAL_TEXT", &[run("x\n")]), paragraph("NORMAL_TEXT", &[run("y\n")]) ] }, cell("\n")] }
            ] } },
            { "tableOfContents": { "content": [paragraph("NORMAL_TEXT", &[run("repeated")])] } },
            paragraph("NORMAL_TEXT", &[json!({ "horizontalRule": {} }), run("\n")])
        ] },
        "lists": {
            "ul": { "listProperties": { "nestingLevels": [{ "glyphSymbol": "●" }, { "glyphSymbol": "○" }] } },
            "ol": { "listProperties": { "nestingLevels": [{ "glyphType": "DECIMAL" }] } }
        },
        "footnotes": { "kix.1": { "footnoteId": "kix.1", "content": [paragraph("NORMAL_TEXT", &[run(" a note\n")])] } }
    } }))
    .unwrap();
    let expected = "\
# Launch

## Who

Ask Ana <ana@example.com> on Nov 20, 2026, see [Plan](https://example.com/plan) or [here](https://example.com/)

- first
  - nested
1. step

two
lines https://example.com/[^1][image]

| Name | a\\|b |
| --- | --- |
| x<br>y |  |

---

[^1]: a note";
    assert_eq!(tab.text(), expected);
}

#[test]
fn tabs_come_in_the_order_of_the_side_bar() {
    let tab =
        |id: &str, children: &[Value]| json!({ "tabProperties": { "tabId": id }, "childTabs": children });
    let top: Tab = serde_json::from_value(tab("a", &[tab("b", &[tab("c", &[])]), tab("d", &[])])).unwrap();
    let ids: Vec<_> = top
        .flattened()
        .iter()
        .map(|tab| tab.tab_properties.tab_id.as_str())
        .collect();
    assert_eq!(ids, ["a", "b", "c", "d"]);
}

#[test]
fn an_empty_document_is_an_empty_text() {
    assert_eq!(serde_json::from_value::<Tab>(json!({})).unwrap().text(), "");
}
