//! x
/// x
pub fn www_authenticate(origin: &str, resource: &str, presented: bool) -> String {
    format!("{origin}{resource}{presented}")
}
