//! Which parts of a mail are its body, and which are attachments.

use serde_json::{Value, json};

use super::*;

fn data(text: &[u8]) -> String {
    BASE64URL.encode(text)
}

fn leaf(mime_type: &str, text: &str) -> Value {
    json!({ "mimeType": mime_type, "filename": "", "body": { "size": text.len(), "data": data(text.as_bytes()) } })
}

fn file(name: &str) -> Value {
    json!({ "mimeType": "application/pdf", "filename": name, "body": { "size": 9, "attachmentId": "A1" } })
}

fn multi(subtype: &str, parts: &[Value]) -> Value {
    json!({ "mimeType": format!("multipart/{subtype}"), "filename": "", "body": { "size": 0 }, "parts": parts })
}

fn body(mail: &Value, wanted: Form) -> String {
    let part: Part = serde_json::from_value(mail.clone()).unwrap();
    let parts = part.body_parts(wanted).into_iter();
    let texts = parts.map(|part| part.text(part.body.data.as_deref().unwrap(), wanted));
    texts.collect::<Vec<_>>().join("+")
}

#[test]
fn the_body_is_the_wanted_form_of_what_the_mail_offers() {
    let plain = leaf("text/plain", "plain");
    let html = leaf("text/html", "<p>html</p>");
    let both = multi("alternative", &[plain.clone(), html.clone()]);
    let related = multi("related", &[html.clone(), file("logo.png")]);
    let footer = leaf("text/plain", "footer");
    for (mail, as_plain, as_html) in [
        (plain.clone(), "plain", "plain"),
        (html.clone(), "html", "<p>html</p>"),
        (both.clone(), "plain", "<p>html</p>"),
        (
            multi("mixed", &[both.clone(), file("a.pdf"), footer.clone()]),
            "plain+footer",
            "<p>html</p>+footer",
        ),
        (
            multi("alternative", &[plain.clone(), related.clone()]),
            "plain",
            "<p>html</p>",
        ),
        (
            multi("mixed", &[html, footer]),
            "html+footer",
            "<p>html</p>+footer",
        ),
        (
            multi(
                "alternative",
                &[leaf("text/calendar", "BEGIN:VCALENDAR"), related],
            ),
            "html",
            "<p>html</p>",
        ),
        (multi("mixed", &[file("only.pdf")]), "", ""),
        (json!({}), "", ""),
    ] {
        assert_eq!(body(&mail, Form::Plain), as_plain, "{mail}");
        assert_eq!(body(&mail, Form::Html), as_html, "{mail}");
    }
}

#[test]
fn attachments_are_files_inline_images_and_attached_mails() {
    let attached_text = json!({
        "mimeType": "text/plain", "filename": "", "body": { "size": 3, "data": "YWJj" },
        "headers": [{ "name": "content-disposition", "value": "ATTACHMENT" }]
    });
    let forwarded = json!({
        "mimeType": "message/rfc822", "filename": "forwarded.eml", "body": { "size": 100, "attachmentId": "A2" },
        "parts": [leaf("text/plain", "inner")]
    });
    let mail = multi(
        "mixed",
        &[leaf("text/plain", "hi"), file("a.pdf"), attached_text, forwarded],
    );
    assert_eq!(body(&mail, Form::Plain), "hi");
    let part: Part = serde_json::from_value(mail).unwrap();
    let names: Vec<_> = part
        .attachments()
        .iter()
        .map(|part| part.mime_type.as_str())
        .collect();
    assert_eq!(names, ["application/pdf", "text/plain", "message/rfc822"]);
}

#[test]
fn a_part_is_decoded_by_its_own_charset() {
    let part: Part = serde_json::from_value(json!({
        "mimeType": "text/plain",
        "headers": [{ "name": "Content-Type", "value": "text/plain; charset=\"ISO-2022-JP\"" }],
    }))
    .unwrap();
    assert_eq!(
        part.text(&data(b"\x1b$B%F%9%H\x1b(B\r\nok"), Form::Plain),
        "テスト\nok"
    );
}

#[test]
fn base64url_is_read_with_and_without_padding_and_junk_is_empty() {
    assert_eq!(decode_data("Pz8_Pg=="), b"???>");
    assert_eq!(decode_data("Pz8_Pg"), b"???>");
    assert_eq!(decode_data("not base64!"), b"");
}
