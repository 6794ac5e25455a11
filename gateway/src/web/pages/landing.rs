//! The landing page: what this is, the URL, how to add it, which tools there are, how the gateway is.
//!
//! One self-contained document without scripts.

use std::time::Duration;

use maud::{Markup, html};

use super::icons::{self, Icon};
use super::layout;
use super::links::Links;
use crate::google::Reachability;
use crate::web::health::State;

/// What the page shows.
#[derive(Clone, Debug)]
pub struct Landing {
    /// What the gateway calls itself.
    pub product: String,
    /// Version of the gateway.
    pub version: String,
    /// Commit it was built from.
    pub git_sha: String,
    /// The URL that users paste.
    pub mcp_url: String,
    /// The URL for clients that only speak the older HTTP+SSE transport.
    pub sse_url: String,
    /// How to add it to each client.
    pub links: Links,
    /// How the gateway is.
    pub state: State,
    /// How Google answers.
    pub google: Reachability,
    /// Streams that are open on this task.
    pub active_streams: usize,
    /// How long this task runs.
    pub uptime: Duration,
    /// The tools, in the order of `tools/list`.
    pub tools: Vec<ToolEntry>,
}

/// One tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolEntry {
    /// Its name, whose first word says which product it belongs to.
    pub name: String,
    /// Its title for people, where it has one.
    pub title: Option<String>,
    /// Whether it only reads.
    pub read_only: bool,
}

/// Renders the page.
pub fn landing(model: &Landing) -> Markup {
    let body = html! {
        header.bar {
            span.brand { (icons::logo()) (model.product) }
            a class={ "pill " (tone(model.state)) } href="#state" { span.dot {} (headline(model.state)) }
        }
        main {
            (hero(model))
            (connect(model))
            (tools(&model.tools))
            (state(model))
        }
        footer {
            p { (model.product) " " (model.version) " · commit " code { (model.git_sha) } }
            nav aria-label="For operators" {
                a href="/health" { "Health" }
                a href="/ready" { "Readiness" }
            }
        }
    };
    layout::document(&layout::LANDING, &model.product, &body)
}

fn hero(model: &Landing) -> Markup {
    html! {
        section.hero {
            h1 { "Your Google Workspace, in every " span.nowrap { "MCP client" } }
            p.lead {
                "Paste one URL into Cursor, VS Code, Claude Code or any other client, log in with Google once, "
                "and your assistant reads your mail, calendar and files as you."
            }
            div.url {
                p.label #url-label { "MCP URL" span.hint { "click to select" } }
                p.value { code aria-labelledby="url-label" { (model.mcp_url) } }
            }
            div.actions {
                a.button.primary href=(model.links.cursor) { (icons::svg(Icon::Pointer)) "Add to Cursor" }
                a.button.primary href=(model.links.vscode) { (icons::svg(Icon::Code)) "Add to VS Code" }
                a.button href="#claude-code" { (icons::svg(Icon::Terminal)) "Add to Claude Code" }
            }
        }
    }
}

fn connect(model: &Landing) -> Markup {
    html! {
        section.connect aria-labelledby="connect" {
            h2 #connect { "Other ways to connect" }
            div.columns {
                article.card #claude-code {
                    h3 { "Claude Code" }
                    p { "Run this in a terminal, then type " code { "/mcp" } " to log in." }
                    pre { code { (model.links.claude_code) } }
                    h3 { "Older clients" }
                    p { "A client that only speaks HTTP+SSE takes this URL." }
                    pre { code { (model.sse_url) } }
                }
                article.card {
                    h3 { "Any other client" }
                    p { "Add the server to the client's " code { "mcp.json" } "." }
                    pre { code { (model.links.mcp_json) } }
                    p.note { "There is no key to copy: the client opens your browser and you log in with Google." }
                    p.note { "Then start a new chat: an open one keeps the tools that it began with." }
                }
            }
        }
    }
}

fn tools(tools: &[ToolEntry]) -> Markup {
    html! {
        section aria-labelledby="tools" {
            h2 #tools { (tools.len()) " tools" }
            p.under {
                @if tools.iter().all(|tool| tool.read_only) { "They only read: nothing is sent, changed or deleted. " }
                "They act as you, so everybody sees what they can open in Google and nothing else."
            }
            div.products {
                @for (product, tools) in by_product(tools) {
                    article.card.product {
                        h3 { span class={ "tile " (product.tone()) } { (icons::svg(product.icon())) } (product.title()) }
                        ul {
                            @for tool in tools {
                                li {
                                    code { (tool.name) }
                                    @if let Some(title) = &tool.title { span { (title) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn state(model: &Landing) -> Markup {
    html! {
        section aria-labelledby="state" {
            h2 #state { "State of the gateway" }
            p.under { (explanation(model.state)) }
            dl.facts {
                div.card { dt { "State" } dd class=(tone(model.state)) { span.dot {} (headline(model.state)) } }
                div.card { dt { "Google" } dd { (google(model.google)) } }
                div.card { dt { "Open streams" } dd { (model.active_streams) } }
                div.card { dt { "Uptime" } dd { (span(model.uptime)) } }
            }
        }
    }
}

/// The class that colours a state. The words beside it say the same.
fn tone(state: State) -> &'static str {
    match state {
        State::Ok => "good",
        State::Degraded => "warn",
        State::Draining => "calm",
    }
}

fn headline(state: State) -> &'static str {
    match state {
        State::Ok => "Operational",
        State::Degraded => "Degraded",
        State::Draining => "Restarting",
    }
}

fn explanation(state: State) -> &'static str {
    match state {
        State::Ok => "Everything works.",
        State::Degraded => {
            "Google does not answer at the moment. Connections stay open, and calls work again when it does."
        }
        State::Draining => {
            "This task finishes its calls and stops. Clients reconnect to another one by themselves."
        }
    }
}

/// A product whose tools stand together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Product {
    Gmail,
    Calendar,
    Drive,
    Docs,
    Sheets,
    Account,
}

impl Product {
    /// In the order of the page.
    const ALL: [Self; 6] = [
        Self::Gmail,
        Self::Calendar,
        Self::Drive,
        Self::Docs,
        Self::Sheets,
        Self::Account,
    ];

    /// The product that the first word of a tool's name stands for; what belongs to none is about the user's account.
    fn of(tool: &str) -> Self {
        match tool.split('_').next() {
            Some("gmail") => Self::Gmail,
            Some("calendar") => Self::Calendar,
            Some("drive") => Self::Drive,
            Some("docs") => Self::Docs,
            Some("sheets") => Self::Sheets,
            _ => Self::Account,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Gmail => "Gmail",
            Self::Calendar => "Calendar",
            Self::Drive => "Drive",
            Self::Docs => "Docs",
            Self::Sheets => "Sheets",
            Self::Account => "Your account",
        }
    }

    fn tone(self) -> &'static str {
        match self {
            Self::Gmail => "red",
            Self::Calendar | Self::Docs => "blue",
            Self::Drive => "amber",
            Self::Sheets => "green",
            Self::Account => "violet",
        }
    }

    fn icon(self) -> Icon {
        match self {
            Self::Gmail => Icon::Mail,
            Self::Calendar => Icon::Calendar,
            Self::Drive => Icon::Folder,
            Self::Docs => Icon::Document,
            Self::Sheets => Icon::Table,
            Self::Account => Icon::Person,
        }
    }
}

/// The tools of each product that has any, in their own order.
fn by_product(tools: &[ToolEntry]) -> Vec<(Product, Vec<&ToolEntry>)> {
    Product::ALL
        .into_iter()
        .map(|product| {
            let of_product = tools.iter().filter(|tool| Product::of(&tool.name) == product);
            (product, of_product.collect::<Vec<_>>())
        })
        .filter(|(_, tools)| !tools.is_empty())
        .collect()
}

/// A time span in its two largest units.
fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, _, _) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

fn google(reachability: Reachability) -> &'static str {
    match reachability {
        Reachability::Unknown => "Not needed yet",
        Reachability::Reachable => "Reachable",
        Reachability::Unreachable => "Unreachable",
    }
}

#[cfg(test)]
mod tests;
