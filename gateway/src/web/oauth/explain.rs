//! What the error pages of a login say: for a person who knows nothing of OAuth, and what to do next.

use std::borrow::Cow;

use http::StatusCode;

use crate::oauth::error::{PageError, Refusal};
use crate::web::pages::error::ErrorPage;

const START_AGAIN: &str = "Close this page and start the sign-in again from your app.";

/// Status and words for an error. The exact reason is for the log.
pub(super) fn explain(error: &PageError) -> (StatusCode, ErrorPage) {
    match error {
        PageError::UnknownClient => bad(
            "invalid_client",
            "This app is not registered here",
            "The sign-in link names an app that this gateway does not know, or no longer knows.",
            "Remove the server from your app and add it again; the app then registers anew.",
        ),
        PageError::UnknownRedirect => bad(
            "invalid_redirect_uri",
            "The answer would go to the wrong place",
            "The app has not registered the address that the answer should go to, so it may not be the app that asks.",
            START_AGAIN,
        ),
        // Not the site's fault; the same link works later.
        PageError::BadRequest { error, .. } if error.code == "temporarily_unavailable" => busy(),
        PageError::BadRequest { error, site, back } => {
            let page = ErrorPage {
                title: "The app asked for something that cannot be",
                message: format!("The request of {site} was refused: {}.", error.description).into(),
                advice: "Close this page if you did not start a sign-in yourself.".into(),
                action: Some(("Back to the app", back.clone())),
                code: error.code,
            };
            (StatusCode::BAD_REQUEST, page)
        }
        PageError::Repeated(_) => bad(
            "invalid_request",
            "The sign-in link is ambiguous",
            "It gives two values where there can be one.",
            START_AGAIN,
        ),
        PageError::UnknownLogin => bad(
            "unknown_login",
            "This sign-in is over",
            "It is finished already, or it took longer than ten minutes.",
            START_AGAIN,
        ),
        PageError::OtherBrowser => bad(
            "other_browser",
            "This sign-in belongs to another browser",
            "It was started in another browser or window, or this one does not keep cookies.",
            START_AGAIN,
        ),
        PageError::NotAdmitted {
            refusal,
            email,
            allowed_domain,
            back,
        } => refused(*refusal, email, allowed_domain, back),
        PageError::Provider(_) => away(
            "provider_unavailable",
            "Google does not answer",
            "The gateway cannot reach Google at the moment.",
        ),
        PageError::Store(_) => busy(),
    }
}

fn refused(refusal: Refusal, email: &str, domain: &str, back: &str) -> (StatusCode, ErrorPage) {
    let message = match refusal {
        Refusal::NoDomain => format!("{email} is a personal Google account, not one of {domain}."),
        Refusal::OtherDomain => format!("{email} does not belong to {domain}."),
        Refusal::Unverified => format!("Google has not verified the address {email}."),
    };
    let page = ErrorPage {
        title: "This account cannot sign in here",
        message: message.into(),
        advice: format!("Start the sign-in again and choose your {domain} account.").into(),
        action: Some(("Back to the app", back.to_owned())),
        code: "access_denied",
    };
    (StatusCode::FORBIDDEN, page)
}

fn bad(
    code: &'static str,
    title: &'static str,
    message: &'static str,
    advice: &'static str,
) -> (StatusCode, ErrorPage) {
    (StatusCode::BAD_REQUEST, plain(code, title, message, advice))
}

fn away(code: &'static str, title: &'static str, message: &'static str) -> (StatusCode, ErrorPage) {
    let page = plain(code, title, message, "Nothing is lost: try again in a moment.");
    (StatusCode::SERVICE_UNAVAILABLE, page)
}

fn busy() -> (StatusCode, ErrorPage) {
    away(
        "temporarily_unavailable",
        "The gateway is busy",
        "It cannot read or store your sign-in at the moment.",
    )
}

fn plain(code: &'static str, title: &'static str, message: &'static str, advice: &'static str) -> ErrorPage {
    ErrorPage {
        title,
        message: Cow::Borrowed(message),
        advice: Cow::Borrowed(advice),
        action: None,
        code,
    }
}
