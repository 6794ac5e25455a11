//! How to add the gateway to a client: install links, commands and configuration, all from one URL.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

/// What `encodeURIComponent` leaves alone, as far as it matters here (RFC 3986 section 2.3).
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Everything a person needs to connect a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Links {
    /// Opens Cursor and offers to install the server.
    pub cursor: String,
    /// Opens VS Code and offers to install the server.
    pub vscode: String,
    /// Adds the server to Claude Code.
    pub claude_code: String,
    /// The `mcp.json` that most other clients read.
    pub mcp_json: String,
}

impl Links {
    /// `name` is what the server is called in the client; `url` is the MCP endpoint.
    pub fn new(name: &str, url: &str) -> Self {
        let servers = json!({"mcpServers": {name: {"url": url}}});
        Self {
            cursor: cursor(name, url),
            vscode: vscode(name, url),
            claude_code: claude_code(name, url),
            // `{:#}` indents, and rendering a value that was made here cannot fail.
            mcp_json: format!("{servers:#}"),
        }
    }
}

/// <https://cursor.com/docs/mcp/install-links>
fn cursor(name: &str, url: &str) -> String {
    let config = STANDARD.encode(json!({"url": url}).to_string());
    format!(
        "cursor://anysphere.cursor-deeplink/mcp/install?name={}&config={}",
        encoded(name),
        encoded(&config)
    )
}

/// <https://code.visualstudio.com/api/extension-guides/ai/mcp#create-an-mcp-installation-url>
fn vscode(name: &str, url: &str) -> String {
    let server = json!({"name": name, "type": "http", "url": url});
    format!("vscode:mcp/install?{}", encoded(&server.to_string()))
}

/// <https://code.claude.com/docs/en/mcp>
fn claude_code(name: &str, url: &str) -> String {
    format!(
        "claude mcp add --transport http {} {}",
        shell_word(name),
        shell_word(url)
    )
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, COMPONENT).to_string()
}

/// The text as one word of a POSIX shell: an IPv6 URL has brackets, which shells expand.
fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '/');
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;

    use super::*;

    const URL: &str = "https://mcp.example.com/mcp";

    fn decoded(text: &str) -> String {
        percent_decode_str(text)
            .decode_utf8()
            .expect("UTF-8")
            .into_owned()
    }

    #[test]
    fn the_cursor_link_carries_the_server_as_base64_of_its_json() {
        let link = Links::new("gateway", URL).cursor;
        assert_eq!(
            link,
            "cursor://anysphere.cursor-deeplink/mcp/install?name=gateway\
             &config=eyJ1cmwiOiJodHRwczovL21jcC5leGFtcGxlLmNvbS9tY3AifQ%3D%3D"
        );
        let (_, config) = link.split_once("&config=").expect("a config");
        let json = STANDARD.decode(decoded(config)).expect("base64");
        assert_eq!(json, br#"{"url":"https://mcp.example.com/mcp"}"#);
    }

    #[test]
    fn the_vscode_link_carries_the_server_as_encoded_json() {
        let link = Links::new("gateway", URL).vscode;
        let query = link.strip_prefix("vscode:mcp/install?").expect("the scheme");
        assert!(!query.contains(['{', '"', '/', ':', '&']), "{query}");
        let server: serde_json::Value = serde_json::from_str(&decoded(query)).expect("JSON");
        assert_eq!(server, json!({"name": "gateway", "type": "http", "url": URL}));
    }

    #[test]
    fn the_claude_code_command_can_be_pasted_into_a_shell() {
        assert_eq!(
            Links::new("gateway", URL).claude_code,
            "claude mcp add --transport http gateway https://mcp.example.com/mcp"
        );
        assert_eq!(
            Links::new("my gateway", "http://[::1]:3000/mcp").claude_code,
            "claude mcp add --transport http 'my gateway' 'http://[::1]:3000/mcp'"
        );
    }

    #[test]
    fn the_json_configuration_names_the_server() {
        insta::assert_snapshot!(Links::new("gateway", URL).mcp_json, @r#"
        {
          "mcpServers": {
            "gateway": {
              "url": "https://mcp.example.com/mcp"
            }
          }
        }
        "#);
    }

    #[test]
    fn a_name_that_needs_escaping_survives_every_link() {
        let links = Links::new("a&b=\"c\" d", URL);
        assert!(links.cursor.contains("name=a%26b%3D%22c%22%20d&config="));
        assert!(decoded(&links.vscode).contains(r#""name":"a&b=\"c\" d""#));
    }
}
