//! The shell of every page: head, style sheet, brand, and the response headers that keep a page to itself.

use std::sync::LazyLock;

use axum::response::{Html, IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue, StatusCode, header};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{PRODUCT, icons};
use crate::id;

/// A style sheet, which is inside the page (so that a page needs no second request and works through any proxy),
/// and the policy that admits it.
#[derive(Debug)]
pub struct Sheet {
    css: &'static str,
    policy: LazyLock<HeaderValue>,
}

/// The look of the pages with one card: consent and errors.
pub static CARD: Sheet = Sheet {
    css: include_str!("style.css"),
    policy: LazyLock::new(|| policy(CARD.css)),
};

/// The look of the landing page.
pub static LANDING: Sheet = Sheet {
    css: include_str!("landing.css"),
    policy: LazyLock::new(|| policy(LANDING.css)),
};

/// Nothing but the style sheet, known by its digest, and the icon in the page may load; nobody may frame the page
/// (CSP level 3, section 2.3.1).
///
/// There is no `form-action`: Chromium applies it to the redirects after a POST as well, and those lead to
/// the identity provider (and wherever it bounces the browser on the way) and to the client's own scheme or
/// host. The forms are ours, their text is escaped and no script runs, so the directive would guard little.
fn policy(css: &str) -> HeaderValue {
    let digest = STANDARD.encode(id::sha256(css.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"))
}

/// A whole document.
pub fn document(sheet: &Sheet, title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                title { (title) }
                link rel="icon" href=(icons::FAVICON);
                style { (PreEscaped(sheet.css)) }
            }
            body { (body) }
        }
    }
}

/// A page in the look of [`CARD`]. `main` is its content; see `style.css` for the classes there are.
pub fn page(title: &str, main: &Markup) -> Markup {
    document(&CARD, &format!("{title} · {PRODUCT}"), &html! { main { (main) } })
}

/// The mark and the name on top of a card.
pub fn brand() -> Markup {
    html! {
        p.brand {
            (icons::logo())
            span { (PRODUCT) }
        }
    }
}

/// A page as a response that is not cached, framed, sniffed, or told to other sites by `Referer`.
///
/// The referrer policy is `same-origin`, not `no-referrer`: under the latter browsers send `Origin: null`
/// with the page's own forms, which an origin check has to refuse.
pub fn respond(sheet: &Sheet, status: StatusCode, page: Markup) -> Response {
    let headers: [(HeaderName, HeaderValue); 5] = [
        (header::CONTENT_SECURITY_POLICY, sheet.policy.clone()),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
        (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (status, headers, Html(page.into_string())).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_admits_the_style_sheet_as_it_stands_in_the_page() {
        for sheet in [&CARD, &LANDING] {
            let html = document(sheet, "Title", &html! {}).into_string();
            let (_, rest) = html.split_once("<style>").unwrap();
            let (style, _) = rest.split_once("</style>").unwrap();
            let digest = STANDARD.encode(id::sha256(style.as_bytes()));
            let policy = sheet.policy.to_str().unwrap();
            assert!(
                policy.contains(&format!("style-src 'sha256-{digest}';")),
                "{policy}"
            );
            assert!(!style.contains('<'));
        }
    }
}
