//! The consent page: which program gets the access, what it may do, and where the answer goes.

use maud::{Markup, html};

use super::layout;
use crate::oauth::consent::ConsentPrompt;
use crate::oauth::redirect::Destination;

/// The page. `google_is_away`: the person agreed, but Google did not answer; the same form tries again.
///
/// The program's name is its own claim, so the page leads with it but lets the destination decide.
pub fn page(prompt: &ConsentPrompt, google_is_away: bool) -> Markup {
    let name = prompt.client_name.as_deref().unwrap_or("An unnamed app");
    layout::page(
        "Allow access",
        &html! {
            section.card {
                (layout::brand())
                h1 { "Allow " bdi { (name) } " to use your tools?" }
                p.lead { "It asks to act as you through this gateway. The name is what the app calls itself." }
                (destination(prompt))
                h2 { "It will be able to" }
                ul.list {
                    li { "see your name and e-mail address" }
                    li { "read your mail, calendar, files, documents and spreadsheets" }
                    li.no { "but not to send, change or delete anything" }
                }
                @if let Destination::ThisComputer(_) = prompt.destination {
                    div.notice role="note" {
                        p {
                            "The answer stays on this computer, but any program on it can ask under this name. "
                            "Go on only if you have just started this sign-in yourself."
                        }
                    }
                }
                @if google_is_away {
                    div.notice role="alert" {
                        p { strong { "Google does not answer at the moment." } " Nothing is lost: try again." }
                    }
                }
                form method="post" action="/oauth/consent" {
                    input type="hidden" name="login" value=(prompt.login);
                    input type="hidden" name="csrf" value=(prompt.csrf);
                    div.actions {
                        button.button type="submit" name="decision" value="deny" { "Cancel" }
                        button.button.primary type="submit" name="decision" value="approve" {
                            @if google_is_away { "Try again" } @else { "Continue with Google" }
                        }
                    }
                }
                p.foot {
                    "Next you sign in with your " strong { (prompt.allowed_domain) } " account. "
                    "The access is for " code { (prompt.resource) } "."
                }
            }
        },
    )
}

fn destination(prompt: &ConsentPrompt) -> Markup {
    let (label, target) = match &prompt.destination {
        Destination::Site(host) => ("The answer goes to the web site", host.as_str()),
        Destination::ThisComputer(host) => ("The answer goes to a program on this computer", host.as_str()),
        Destination::App(name) => ("The answer goes to the app", *name),
    };
    html! {
        div.target {
            span { (label) }
            strong { bdi { (target) } }
            code { (prompt.redirect_uri) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt(client_name: Option<&str>, destination: Destination) -> ConsentPrompt {
        ConsentPrompt {
            login: "login-1".into(),
            csrf: "csrf-1".into(),
            client_name: client_name.map(str::to_owned),
            destination,
            redirect_uri: "http://localhost:8787/callback".into(),
            resource: "https://mcp.example.com/mcp".into(),
            allowed_domain: "example.com".into(),
        }
    }

    #[test]
    fn the_page_shows_who_asks_and_where_the_answer_goes() {
        let site = Destination::Site("app.example.org".into());
        let html = page(&prompt(Some("Cursor"), site), false).into_string();
        for part in [
            "<bdi>Cursor</bdi>",
            "<bdi>app.example.org</bdi>",
            "http://localhost:8787/callback",
            "https://mcp.example.com/mcp",
            "name=\"csrf\" value=\"csrf-1\"",
            "name=\"login\" value=\"login-1\"",
        ] {
            assert!(html.contains(part), "{part} in {html}");
        }
        assert!(!html.contains("class=\"notice\""));
    }

    #[test]
    fn an_answer_to_this_computer_is_warned_about() {
        let local = Destination::ThisComputer("localhost:8787".into());
        let html = page(&prompt(None, local), false).into_string();
        assert!(html.contains("any program on it can ask under this name"));
        assert!(html.contains("An unnamed app"));
    }

    #[test]
    fn a_hostile_name_stays_text() {
        for name in [
            "<script>alert(1)</script>",
            "\"><img src=x onerror=alert(1)>",
            "</title><svg onload=alert(1)>",
            "' onfocus='alert(1)",
            "&lt;script&gt;",
            "{{7*7}}",
        ] {
            let html = page(&prompt(Some(name), Destination::App("Cursor")), false).into_string();
            let shown = html
                .split("<bdi>")
                .nth(1)
                .unwrap()
                .split("</bdi>")
                .next()
                .unwrap();
            assert!(!shown.contains(['<', '>', '"']), "{shown}");
            let unescaped = shown
                .replace("&lt;", "<")
                .replace("&gt;", ">")
                .replace("&quot;", "\"")
                .replace("&amp;", "&");
            assert_eq!(unescaped, name);
            assert_eq!(html.matches("<script").count(), 0);
        }
    }
}
