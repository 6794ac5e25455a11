//! Request parameters: each at most once, and an empty one counts as absent (RFC 6749 section 3.1).

use serde_json::{Map, Value};
use url::form_urlencoded;

/// A parameter was given more than once; which value is meant cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("parameter `{0}` is given more than once")]
pub struct Repeated(pub &'static str);

/// The parameters of one request.
#[derive(Clone, Debug, Default)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// From a query string or a form (`application/x-www-form-urlencoded`).
    pub fn from_form(encoded: &[u8]) -> Self {
        Self(form_urlencoded::parse(encoded).into_owned().collect())
    }

    /// From a JSON object; members that are not strings are left out.
    pub fn from_json(object: Map<String, Value>) -> Self {
        let strings = object.into_iter().filter_map(|(name, value)| match value {
            Value::String(text) => Some((name, text)),
            _ => None,
        });
        Self(strings.collect())
    }

    /// The value of a parameter.
    pub fn one(&self, name: &'static str) -> Result<Option<&str>, Repeated> {
        let mut values = self.0.iter().filter(|(key, _)| key == name);
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(Repeated(name)),
            (Some((_, value)), None) if !value.is_empty() => Ok(Some(value)),
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_has_one_value_or_none() {
        let params = Params::from_form(b"a=1&b=&c=x%20y&c=x&d=%ff+");
        assert_eq!(params.one("a"), Ok(Some("1")));
        assert_eq!(params.one("b"), Ok(None));
        assert_eq!(params.one("c"), Err(Repeated("c")));
        assert_eq!(params.one("d"), Ok(Some("\u{fffd} ")));
        assert_eq!(params.one("e"), Ok(None));
    }
}
