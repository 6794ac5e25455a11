//! A mail as Gmail describes it: headers, the parts that are the body, attachments. Pure.

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;

use super::text;

/// base64url with or without padding: Gmail sends it padded, its documentation does not promise that.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// `MessagePart` of Gmail v1.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Part {
    /// Lower-cased by Gmail, but not promised to be.
    pub(crate) mime_type: String,
    /// Not empty: a part to be saved, not shown.
    pub(crate) filename: String,
    /// In their order in the mail.
    pub(crate) headers: Vec<Header>,
    /// Content of a leaf.
    pub(crate) body: Body,
    /// Children of a container.
    pub(crate) parts: Vec<Part>,
}

/// `MessagePartHeader` of Gmail v1.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Header {
    name: String,
    value: String,
}

/// `MessagePartBody` of Gmail v1.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Body {
    /// Under which a large content is fetched.
    pub(crate) attachment_id: Option<String>,
    /// Bytes of the decoded content.
    pub(crate) size: u64,
    /// base64url of the content.
    pub(crate) data: Option<String>,
}

/// Which form of a body is wanted where a mail offers several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `text/plain`.
    Plain,
    /// `text/html`.
    Html,
}

impl Part {
    /// The first header of that name, its RFC 2047 words decoded.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case(name))
            .map(|header| text::decode_header(&header.value))
    }

    fn is(&self, kind: &str) -> bool {
        self.mime_type.eq_ignore_ascii_case(kind)
    }

    /// The form of a leaf that can be part of a body.
    pub(crate) fn form(&self) -> Option<Form> {
        match () {
            () if self.is("text/plain") => Some(Form::Plain),
            () if self.is("text/html") => Some(Form::Html),
            () => None,
        }
    }

    fn is_attachment(&self) -> bool {
        let disposition = self.header("Content-Disposition").unwrap_or_default();
        !self.filename.is_empty() || disposition.to_ascii_lowercase().starts_with("attachment")
    }

    /// The leaves that make the body, in reading order. Of alternatives (RFC 2046 section 5.1.4) one is
    /// chosen: the wanted form, else the last one, which the sender prefers.
    pub(crate) fn body_parts(&self, wanted: Form) -> Vec<&Self> {
        if self.is_attachment() {
            return Vec::new();
        }
        if self.parts.is_empty() {
            return self.form().map(|_| self).into_iter().collect();
        }
        let mut bodies: Vec<_> = self.parts.iter().map(|part| part.body_parts(wanted)).collect();
        if !self.is("multipart/alternative") {
            return bodies.concat();
        }
        bodies.retain(|body| !body.is_empty());
        let fits = |body: &Vec<&Self>| body.iter().any(|part| part.form() == Some(wanted));
        let index = bodies.iter().position(fits);
        match index {
            Some(index) => bodies.swap_remove(index),
            None => bodies.pop().unwrap_or_default(),
        }
    }

    /// The leaves that are not the body: files, inline images, attached mails.
    pub(crate) fn attachments(&self) -> Vec<&Self> {
        if self.is_attachment() || (self.parts.is_empty() && self.form().is_none()) {
            let has_content = self.body.size > 0 || self.body.attachment_id.is_some();
            return (has_content || !self.filename.is_empty())
                .then_some(self)
                .into_iter()
                .collect();
        }
        self.parts.iter().flat_map(Self::attachments).collect()
    }

    /// The text of a leaf from its content, HTML turned to plain text if that is wanted.
    pub(crate) fn text(&self, data: &str, wanted: Form) -> String {
        let bytes = decode_data(data);
        let content_type = self.header("Content-Type").unwrap_or_default();
        let decoded = text::decode(&bytes, text::charset(&content_type));
        if self.form() == Some(Form::Html) && wanted == Form::Plain {
            return text::from_html(&decoded);
        }
        decoded.replace("\r\n", "\n")
    }
}

/// Decodes base64url. What is not base64url decodes to nothing.
fn decode_data(data: &str) -> Vec<u8> {
    BASE64URL.decode(data).unwrap_or_default()
}

#[cfg(test)]
mod tests;
