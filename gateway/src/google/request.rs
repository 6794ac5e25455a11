//! One GET of a Google API: which product, which path, which parameters. Pure.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use super::error::ToolError;

/// The unreserved characters of RFC 3986 section 2.3; everything else in an identifier is escaped.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A Google API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Product {
    /// Gmail v1, always as the user of the token.
    Gmail,
    /// Calendar v3.
    Calendar,
    /// Drive v3.
    Drive,
    /// Docs v1.
    Docs,
    /// Sheets v4.
    Sheets,
}

impl Product {
    /// The name that people know.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gmail => "Gmail",
            Self::Calendar => "Google Calendar",
            Self::Drive => "Google Drive",
            Self::Docs => "Google Docs",
            Self::Sheets => "Google Sheets",
        }
    }

    /// Google's own host, from the `rootUrl` of the discovery document.
    fn root(self) -> &'static str {
        match self {
            Self::Gmail => "https://gmail.googleapis.com",
            Self::Calendar | Self::Drive => "https://www.googleapis.com",
            Self::Docs => "https://docs.googleapis.com",
            Self::Sheets => "https://sheets.googleapis.com",
        }
    }

    /// What every path of the API begins with.
    fn prefix(self) -> &'static str {
        match self {
            Self::Gmail => "gmail/v1/users/me",
            Self::Calendar => "calendar/v3",
            Self::Drive => "drive/v3",
            Self::Docs => "v1",
            Self::Sheets => "v4",
        }
    }
}

/// A GET request, not yet bound to a host or a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// The API that answers it.
    pub(crate) product: Product,
    segments: Vec<String>,
    query: Vec<(&'static str, String)>,
}

impl Request {
    /// A request for the path made of `segments`, each of them a literal or an identifier in clear.
    pub(crate) fn new(product: Product, segments: &[&str]) -> Self {
        Self {
            product,
            segments: segments.iter().map(|&segment| segment.to_owned()).collect(),
            query: Vec::new(),
        }
    }

    /// Adds a query parameter; repeated names are sent repeatedly.
    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    /// Adds a query parameter if there is a value.
    #[must_use]
    pub(crate) fn maybe(self, name: &'static str, value: Option<impl Into<String>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// The URL on `base`, or on Google's own host.
    ///
    /// An identifier stays one path segment whatever it contains. The dot segments, which no encoding
    /// protects (URL parsers resolve `%2e%2e` too), and the empty one are refused.
    pub(crate) fn url(&self, base: Option<&Url>) -> Result<Url, ToolError> {
        let root = base.map_or(self.product.root(), Url::as_str);
        let mut text = format!("{}/{}", root.trim_end_matches('/'), self.product.prefix());
        for segment in &self.segments {
            if matches!(segment.as_str(), "" | "." | "..") {
                return Err(ToolError::invalid(format!("`{segment}` is not an identifier")));
            }
            text.push('/');
            text.extend(utf8_percent_encode(segment, SEGMENT));
        }
        let mut url = Url::parse(&text)
            .map_err(|_| ToolError::invalid("the identifier makes no valid URL".to_owned()))?;
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        Ok(url)
    }
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_product_lives_on_its_own_host_unless_a_base_is_set() {
        let request = Request::new(Product::Drive, &["files"]).with("q", "name contains 'a&b'");
        assert_eq!(
            request.url(None).unwrap().as_str(),
            "https://www.googleapis.com/drive/v3/files?q=name+contains+%27a%26b%27"
        );
        let base = Url::parse("http://127.0.0.1:4000/google/").unwrap();
        assert_eq!(request.url(Some(&base)).unwrap().path(), "/google/drive/v3/files");
    }

    #[test]
    fn dot_segments_and_empty_identifiers_are_refused() {
        for id in ["", ".", ".."] {
            let request = Request::new(Product::Gmail, &["messages", id]);
            assert_eq!(request.url(None).unwrap_err().code.as_str(), "invalid_argument");
        }
    }

    proptest! {
        #[test]
        fn no_identifier_leaves_its_path_segment(id in "\\PC{1,40}|[./%\\\\?#@:\t\n\r;a-z2eE]{1,12}") {
            prop_assume!(!matches!(id.as_str(), "." | ".."));
            let url = Request::new(Product::Sheets, &["spreadsheets", &id, "values", &id])
                .with("fields", "values")
                .url(None)
                .unwrap();
            prop_assert_eq!(url.host_str(), Some("sheets.googleapis.com"));
            prop_assert_eq!(url.query(), Some("fields=values"));
            prop_assert_eq!(url.fragment(), None);
            let segments: Vec<_> = url.path_segments().unwrap().collect();
            prop_assert_eq!(segments.len(), 5);
            prop_assert_eq!(&segments[..2], &["v4", "spreadsheets"][..]);
            prop_assert_eq!(segments[3], "values");
            for segment in [segments[2], segments[4]] {
                prop_assert_eq!(percent_decode_str(segment).decode_utf8().unwrap(), id.as_str());
            }
        }
    }
}
