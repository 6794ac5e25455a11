//! The content of a Drive file as text, if it has any.

use schemars::JsonSchema;
use serde::Serialize;

use super::{ContentArgs, File, RawFile, file_request};
use crate::google::client::{Answer, Call};
use crate::google::error::{ErrorCode, ToolError};
use crate::google::request::{Product, Request};
use crate::google::text::{self, TextWindow};

/// Google's own limit for exports, which we take for downloads too.
const BYTES_MAX: u64 = 10 * 1024 * 1024;
const SHORTCUT: &str = "application/vnd.google-apps.shortcut";

/// A file and its text.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct Content {
    #[serde(flatten)]
    file: File,
    /// The type of `text`, when it differs from the file's.
    #[serde(skip_serializing_if = "Option::is_none")]
    converted_to: Option<String>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    window: Option<TextWindow>,
    /// What is missing, and how to get it.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// How the text of a type is got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Google converts it to this type.
    Export(&'static str),
    /// The file is text.
    Download,
    /// There is no text. Why.
    None(&'static str),
}

impl Way {
    fn of(mime_type: &str) -> Self {
        match mime_type {
            "application/vnd.google-apps.document" => Self::Export("text/markdown"),
            "application/vnd.google-apps.spreadsheet" => Self::Export("text/csv"),
            "application/vnd.google-apps.presentation" => Self::Export("text/plain"),
            "application/vnd.google-apps.script" => Self::Export("application/vnd.google-apps.script+json"),
            "application/vnd.google-apps.folder" => {
                Self::None("this is a folder; list its files with `drive_list`")
            }
            own if own.starts_with("application/vnd.google-apps.") => {
                Self::None("Google offers no text of this type of file; open it with `webViewLink`")
            }
            own if is_text(own) => Self::Download,
            _ => {
                Self::None("this is a binary file, of which no text is extracted; open it with `webViewLink`")
            }
        }
    }
}

/// Types that are text though their names do not begin with `text/`.
fn is_text(mime_type: &str) -> bool {
    const TEXTS: [&str; 14] = [
        "application/json",
        "application/ld+json",
        "application/xml",
        "application/xhtml+xml",
        "application/yaml",
        "application/x-yaml",
        "application/toml",
        "application/javascript",
        "application/x-javascript",
        "application/typescript",
        "application/sql",
        "application/x-sh",
        "application/x-ndjson",
        "message/rfc822",
    ];
    let essence = mime_type.split(';').next().unwrap_or_default().trim();
    essence.starts_with("text/")
        || essence.ends_with("+json")
        || essence.ends_with("+xml")
        || TEXTS.contains(&essence)
}

pub(in super::super) fn export_request(id: &str, mime_type: &str) -> Request {
    Request::new(Product::Drive, &["files", id, "export"]).with("mimeType", mime_type)
}

pub(in super::super) fn media_request(id: &str) -> Request {
    Request::new(Product::Drive, &["files", id])
        .with("supportsAllDrives", "true")
        .with("alt", "media")
}

/// Looks the file up, follows a shortcut, and fetches the text if there is one of bearable size.
pub(super) async fn read(call: &Call<'_>, args: &ContentArgs) -> Result<Content, ToolError> {
    let mut raw: RawFile = call.json(&file_request(&args.file_id)).await?;
    if raw.mime_type == SHORTCUT
        && let Some(target) = raw
            .shortcut_details
            .take()
            .and_then(|shortcut| shortcut.target_id)
    {
        raw = call.json(&file_request(&target)).await?;
    }
    let file = File::from(raw);
    let (request, converted_to) = match Way::of(&file.mime_type) {
        Way::Export(to) => (export_request(&file.id, to), Some(to)),
        Way::Download => (media_request(&file.id), None),
        Way::None(why) => {
            return Ok(Content {
                file,
                converted_to: None,
                window: None,
                note: Some(why.to_owned()),
            });
        }
    };
    // The size of Google's own formats says nothing about that of their text.
    let download = file.size.filter(|_| converted_to.is_none());
    if let Some(size) = download.filter(|&size| size > BYTES_MAX) {
        let message = format!(
            "`{}` has {size} bytes, more than the {BYTES_MAX} that are read",
            file.name
        );
        return Err(too_large(ToolError::new(ErrorCode::TooLarge, message), &file));
    }
    let answer = match call.bytes(&request).await {
        Ok(answer) => answer,
        Err(error) if error.code == ErrorCode::TooLarge => return Err(too_large(error, &file)),
        Err(error) => return Err(error),
    };
    let text = text_of(&answer, converted_to.unwrap_or(&file.mime_type));
    let first_sheet = "only the first sheet; read others with `sheets_get_values`";
    Ok(Content {
        window: Some(TextWindow::cut(&text, args.offset, args.max_chars)),
        note: (converted_to == Some("text/csv")).then(|| first_sheet.to_owned()),
        converted_to: converted_to.map(str::to_owned),
        file,
    })
}

fn too_large(error: ToolError, file: &File) -> ToolError {
    match (&file.web_view_link, file.mime_type.as_str()) {
        (_, "application/vnd.google-apps.document") => error.hinting("read it with `docs_get_content`"),
        (_, "application/vnd.google-apps.spreadsheet") => {
            error.hinting("read ranges with `sheets_get_values`")
        }
        (Some(link), _) => error.hinting(format!("open it in Google Drive: {link}")),
        (None, _) => error,
    }
}

fn text_of(answer: &Answer, mime_type: &str) -> String {
    let label = answer.content_type.as_deref().and_then(text::charset);
    let text = text::decode(&answer.body, label);
    if mime_type == "text/markdown" {
        return without_images(&text);
    }
    text.into_owned()
}

/// Google puts the images of a document at the end of its Markdown, each as a line of base64.
fn without_images(markdown: &str) -> String {
    let is_image = |line: &str| line.starts_with('[') && line.contains("]: <data:");
    let lines = markdown.lines().filter(|line| !is_image(line));
    lines.collect::<Vec<_>>().join("\n").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_its_way() {
        for (mime_type, way) in [
            (
                "application/vnd.google-apps.document",
                Way::Export("text/markdown"),
            ),
            ("application/vnd.google-apps.spreadsheet", Way::Export("text/csv")),
            ("text/plain; charset=utf-8", Way::Download),
            ("application/vnd.api+json", Way::Download),
        ] {
            assert_eq!(Way::of(mime_type), way);
        }
        for binary in [
            "application/pdf",
            "image/png",
            "application/vnd.google-apps.form",
            "",
        ] {
            assert!(matches!(Way::of(binary), Way::None(_)), "{binary}");
        }
    }

    #[test]
    fn embedded_images_of_markdown_are_left_out() {
        let markdown = "# Plan\n\n![][image1]\n\n[image1]: <data:image/png;base64,iVBORw0KGgo=>\n";
        assert_eq!(without_images(markdown), "# Plan\n\n![][image1]");
    }

    #[test]
    fn a_file_is_decoded_by_the_charset_of_the_download() {
        let answer = |body: &[u8], content_type: &str| Answer {
            body: body.to_vec(),
            content_type: Some(content_type.to_owned()),
        };
        let latin = answer(b"caf\xe9", "text/plain; charset=ISO-8859-1");
        assert_eq!(text_of(&latin, "text/plain"), "café");
        assert_eq!(
            text_of(&answer("café".as_bytes(), "text/plain"), "text/plain"),
            "café"
        );
    }
}
