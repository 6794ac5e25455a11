//! The error page: what happened, in words, and the one thing to do next.

use std::borrow::Cow;

use maud::{Markup, html};

use super::layout;

/// What an error page says.
#[derive(Clone, Debug)]
pub struct ErrorPage {
    /// What happened, as a headline.
    pub title: &'static str,
    /// Why, in a sentence or two.
    pub message: Cow<'static, str>,
    /// What to do.
    pub advice: Cow<'static, str>,
    /// The text of a link to click and where it leads, if there is something to click.
    pub action: Option<(&'static str, String)>,
    /// The short name of the error, for whoever is asked for help.
    pub code: &'static str,
}

/// The page.
pub fn page(error: &ErrorPage) -> Markup {
    layout::page(
        error.title,
        &html! {
            section.card {
                (layout::brand())
                h1 { (error.title) }
                p.lead { (error.message) }
                p { (error.advice) }
                @if let Some((text, href)) = &error.action {
                    div.actions { a.button.primary href=(href) { (text) } }
                }
                p.foot { "Error " code { (error.code) } }
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_on_the_page_is_escaped() {
        let html = page(&ErrorPage {
            title: "<b>",
            message: "<i>".into(),
            advice: "<u>".into(),
            action: Some(("<s>", "/auth/callback?a=1&b=\"2".to_owned())),
            code: "<em>",
        })
        .into_string();
        for tag in ["<b>", "<i>", "<u>", "<s>", "<em>"] {
            assert!(!html.contains(tag), "{tag}");
        }
        assert!(html.contains("href=\"/auth/callback?a=1&amp;b=&quot;2\""));
    }
}
