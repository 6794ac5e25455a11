//! What the page says, and that it needs nothing but itself.

use super::*;

const TOOLS: [(&str, &str); 13] = [
    ("whoami", "Who am I"),
    ("test_auth", "Check the connection to Google"),
    ("gmail_search", "Search mail"),
    ("gmail_list", "List mail"),
    ("gmail_get", "Read a message"),
    ("calendar_list_events", "List events"),
    ("calendar_get_event", "Read an event"),
    ("drive_search", "Search files"),
    ("drive_list", "List a folder"),
    ("drive_get_content", "Read a file"),
    ("docs_get_content", "Read a document"),
    ("sheets_get_values", "Read cells"),
    ("sheets_get_metadata", "List the sheets of a spreadsheet"),
];

fn model() -> Landing {
    let mcp_url = "https://mcp.example.com/mcp".to_owned();
    Landing {
        product: "MCP Gateway".to_owned(),
        version: "0.1.0".to_owned(),
        git_sha: "0123456789ab".to_owned(),
        sse_url: format!("{mcp_url}/sse"),
        links: Links::new("gateway", &mcp_url),
        mcp_url,
        state: State::Ok,
        google: Reachability::Reachable,
        active_streams: 42,
        uptime: Duration::from_secs(3 * 86_400 + 4 * 3_600 + 59),
        tools: TOOLS
            .iter()
            .map(|(name, title)| ToolEntry {
                name: (*name).to_owned(),
                title: Some((*title).to_owned()),
                read_only: true,
            })
            .collect(),
    }
}

/// Everything between tags, white space collapsed.
fn text(page: &str) -> String {
    let body = page.split("<body>").nth(1).expect("a body");
    let words = body
        .split('<')
        .filter_map(|part| part.split_once('>'))
        .map(|(_, text)| text)
        .collect::<Vec<_>>()
        .join(" ");
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_page_says_everything_a_new_user_needs() {
    insta::assert_snapshot!(text(&landing(&model()).into_string()));
}

#[test]
fn the_page_can_be_looked_at() {
    // `LANDING_OUT=<directory> cargo test` writes the variants for a browser.
    #[expect(
        clippy::disallowed_methods,
        reason = "a switch of this test, not a setting of the gateway"
    )]
    let out = std::env::var("LANDING_OUT");
    for (name, state, google) in [
        ("ok", State::Ok, Reachability::Reachable),
        ("degraded", State::Degraded, Reachability::Unreachable),
        ("draining", State::Draining, Reachability::Unknown),
    ] {
        let page = landing(&Landing {
            state,
            google,
            ..model()
        })
        .into_string();
        let text = text(&page);
        assert!(
            text.contains(headline(state)) && text.contains(explanation(state)),
            "{text}"
        );
        if let Ok(directory) = &out {
            std::fs::write(format!("{directory}/{name}.html"), page).expect("the page is written");
        }
    }
}

#[test]
fn the_links_of_the_buttons_are_those_of_the_model() {
    let model = model();
    let page = landing(&model).into_string();
    let cursor = model.links.cursor.replace('&', "&amp;");
    assert!(page.contains(&format!("href=\"{cursor}\"")));
    assert!(page.contains(&format!("href=\"{}\"", model.links.vscode)));
    assert!(page.contains("href=\"#claude-code\"") && page.contains("id=\"claude-code\""));
}

#[test]
fn the_page_runs_no_script_and_loads_nothing() {
    let page = landing(&model()).into_string();
    for absent in [
        "<script",
        " style=",
        "onclick",
        "src=",
        "url(",
        "@import",
        "javascript:",
    ] {
        assert!(!page.contains(absent), "{absent}");
    }
}

#[test]
fn what_comes_from_the_configuration_is_escaped() {
    let hostile = "<img src=x onerror=alert(1)>\"'";
    let page = landing(&Landing {
        product: hostile.to_owned(),
        mcp_url: hostile.to_owned(),
        git_sha: hostile.to_owned(),
        links: Links::new(hostile, hostile),
        tools: vec![ToolEntry {
            name: hostile.to_owned(),
            title: Some(hostile.to_owned()),
            read_only: true,
        }],
        ..model()
    })
    .into_string();
    assert!(!page.contains("<img"), "{page}");
    assert!(page.contains("&lt;img"));
}

#[test]
fn tools_stand_under_their_product_and_none_is_lost() {
    let tools = model().tools;
    let shown: Vec<_> = by_product(&tools)
        .into_iter()
        .map(|(product, tools)| format!("{} {}", product.title(), tools.len()))
        .collect();
    assert_eq!(
        shown,
        [
            "Gmail 3",
            "Calendar 2",
            "Drive 3",
            "Docs 1",
            "Sheets 2",
            "Your account 2"
        ]
    );
    assert_eq!(by_product(&[]), []);
}

#[test]
fn the_page_promises_to_only_read_when_every_tool_does() {
    let promise = "nothing is sent, changed or deleted";
    let mut model = model();
    assert!(landing(&model).into_string().contains(promise));
    model.tools[4].read_only = false;
    assert!(!landing(&model).into_string().contains(promise));
}

#[test]
fn uptime_is_told_in_its_two_largest_units() {
    for (seconds, told) in [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3_599, "59 min"),
        (3_600, "1 h 0 min"),
        (86_399, "23 h 59 min"),
        (86_400, "1 d 0 h"),
        (273_659, "3 d 4 h"),
    ] {
        assert_eq!(span(Duration::from_secs(seconds)), told);
    }
}
