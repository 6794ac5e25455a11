//! How MCP clients are told about a server: install links and commands.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

/// The name under which clients list this server.
const NAME: &str = "mcp-gateway";

/// The characters that need no escape in a URL's query (RFC 3986 section 2.3).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Opens Cursor's "install MCP server" dialogue.
pub(crate) fn cursor(url: &str) -> String {
    let config = STANDARD.encode(json!({ "url": url }).to_string());
    format!(
        "cursor://anysphere.cursor-deeplink/mcp/install?name={NAME}&config={}",
        utf8_percent_encode(&config, UNRESERVED)
    )
}

/// Opens VS Code's "install MCP server" page.
pub(crate) fn vs_code(url: &str) -> String {
    let config = json!({ "name": NAME, "type": "http", "url": url }).to_string();
    format!("vscode:mcp/install?{}", utf8_percent_encode(&config, UNRESERVED))
}

/// Adds the server to Claude Code.
pub(crate) fn claude_code(url: &str) -> String {
    format!("claude mcp add --transport http {NAME} {url}")
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;

    use super::*;

    const URL: &str = "http://127.0.0.1:3000/mcp";

    fn decoded(query: &str) -> String {
        percent_decode_str(query).decode_utf8().unwrap().into_owned()
    }

    #[test]
    fn the_cursor_link_carries_the_url_in_base64() {
        let link = cursor(URL);
        let (base, config) = link.split_once("&config=").unwrap();
        assert_eq!(
            base,
            "cursor://anysphere.cursor-deeplink/mcp/install?name=mcp-gateway"
        );
        let json = STANDARD.decode(decoded(config)).unwrap();
        assert_eq!(
            String::from_utf8(json).unwrap(),
            r#"{"url":"http://127.0.0.1:3000/mcp"}"#
        );
        assert!(!config.contains(['+', '/', '=']));
    }

    #[test]
    fn the_vs_code_link_carries_escaped_json() {
        let link = vs_code(URL);
        let json = decoded(link.strip_prefix("vscode:mcp/install?").unwrap());
        let config: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(
            config,
            json!({ "name": "mcp-gateway", "type": "http", "url": URL })
        );
        assert!(link.is_ascii() && !link.contains(['"', '{', ' ']));
    }

    #[test]
    fn the_claude_command_can_be_pasted() {
        assert_eq!(
            claude_code(URL),
            "claude mcp add --transport http mcp-gateway http://127.0.0.1:3000/mcp"
        );
    }
}
