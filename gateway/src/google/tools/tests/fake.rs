//! A Google with a few things of everything, and the arguments that reach them.

use serde_json::{Value, json};

use crate::google::testing::{Hit, Reply};

/// Arguments with which each tool reaches Google.
pub(super) fn arguments(tool: &str) -> Value {
    match tool {
        "gmail_search" | "drive_search" => json!({ "query": "budget" }),
        "gmail_get" => json!({ "messageId": "m1" }),
        "calendar_get_event" => json!({ "eventId": "e1" }),
        "drive_get_content" => json!({ "fileId": "f1" }),
        "docs_get_content" => json!({ "documentId": "d1" }),
        "sheets_get_values" => json!({ "spreadsheetId": "s1", "range": "A1:B2" }),
        "sheets_get_metadata" => json!({ "spreadsheetId": "s1" }),
        _ => json!({}),
    }
}

fn message(id: &str) -> Value {
    json!({
        "id": id, "threadId": "t1", "labelIds": ["INBOX"], "snippet": "It&#39;s time", "internalDate": "1800000000000",
        "payload": {
            "mimeType": "multipart/mixed",
            "headers": [
                { "name": "From", "value": "=?utf-8?B?44OG44K544OI?= <ana@example.com>" },
                { "name": "Subject", "value": "Plan" },
                { "name": "Date", "value": "Fri, 15 Jan 2027 09:00:00 +0100" }
            ],
            "parts": [
                { "mimeType": "text/plain", "filename": "", "body": { "size": 5, "attachmentId": "big" } },
                { "mimeType": "application/pdf", "filename": "plan.pdf", "body": { "size": 9, "attachmentId": "a1" } }
            ]
        }
    })
}

/// Google, for a person whose data carry the token they were read with.
pub(super) fn google(hit: &Hit) -> Reply {
    let token = hit.authorization.trim_start_matches("Bearer ");
    Reply::Json(
        200,
        match hit.path.as_str() {
            "/userinfo" => {
                json!({ "sub": "1", "email": format!("{token}@example.com"), "name": "Ana", "hd": "example.com" })
            }
            "/gmail/v1/users/me/messages" => {
                json!({ "messages": [{ "id": "m1" }, { "id": "gone" }, { "id": "m3" }],
            "nextPageToken": "p2", "resultSizeEstimate": 30 })
            }
            "/gmail/v1/users/me/messages/gone" => {
                return Reply::Json(404, json!({ "error": { "message": "Not Found" } }));
            }
            "/gmail/v1/users/me/messages/m1/attachments/big" => json!({ "data": "aGVsbG8" }),
            "/calendar/v3/calendars/primary/events" => json!({ "timeZone": "Europe/Berlin",
            "items": [{ "id": "e1", "summary": token, "start": { "date": "2027-01-15" }, "end": { "date": "2027-01-16" } }] }),
            "/calendar/v3/calendars/primary/events/e1" => json!({ "id": "e1", "summary": token }),
            "/drive/v3/files" => {
                json!({ "files": [{ "id": "f1", "name": token, "mimeType": "text/plain", "size": "5" }] })
            }
            "/drive/v3/files/f1" if hit.param("alt") == Some("media") => {
                return Reply::Headers(
                    200,
                    vec![("content-type", "text/plain; charset=ISO-8859-1".into())],
                    b"caf\xe9".to_vec(),
                );
            }
            "/drive/v3/files/f1" => {
                json!({ "id": "f1", "name": token, "mimeType": "text/plain", "size": "4" })
            }
            "/drive/v3/files/link" => {
                json!({ "id": "link", "mimeType": "application/vnd.google-apps.shortcut",
            "shortcutDetails": { "targetId": "sheet" } })
            }
            "/drive/v3/files/sheet" => {
                json!({ "id": "sheet", "name": "S", "mimeType": "application/vnd.google-apps.spreadsheet" })
            }
            "/drive/v3/files/sheet/export" => {
                return Reply::Headers(200, vec![("content-type", "text/csv".into())], b"a,b".to_vec());
            }
            "/drive/v3/files/pdf" => {
                json!({ "id": "pdf", "name": "P", "mimeType": "application/pdf", "size": "4" })
            }
            "/drive/v3/files/huge" => {
                json!({ "id": "huge", "name": "H", "mimeType": "text/csv", "size": "99999999999",
            "webViewLink": "https://example.com/huge" })
            }
            "/v1/documents/d1" => json!({ "documentId": "d1", "title": token, "tabs": [
            { "tabProperties": { "tabId": "t.0", "title": "Main" }, "documentTab": { "body": { "content": [
                { "paragraph": { "elements": [{ "textRun": { "content": "Hello\n" } }] } }] } } },
            { "tabProperties": { "tabId": "t.1", "title": "Notes" } }] }),
            "/v4/spreadsheets/s1/values/A1%3AB2" => {
                json!({ "range": "Sheet1!A1:B2", "values": [[token, 1], ["x"]] })
            }
            "/v4/spreadsheets/s1" => {
                json!({ "spreadsheetId": "s1", "properties": { "title": token }, "sheets": [] })
            }
            path if path.starts_with("/gmail/v1/users/me/messages/") => {
                message(path.rsplit('/').next().unwrap())
            }
            path => panic!("no such thing: {path}"),
        },
    )
}
