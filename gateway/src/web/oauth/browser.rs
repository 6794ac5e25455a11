//! The part of a login that a person sees: consent page, form, return from Google, error pages.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};

use super::cookie::{self, Cookies};
use super::explain::explain;
use super::{read_body, retry_after};
use crate::oauth::authorize::Authorized;
use crate::oauth::consent::{Decided, Decision};
use crate::oauth::error::PageError;
use crate::oauth::params::Params;
use crate::oauth::{OAuth, login};
use crate::store::StoreError;
use crate::web::pages::{consent, error, layout};

/// `GET /oauth/authorize`: the consent page, or an error for the client, or an error page.
pub(super) async fn authorize(
    State(oauth): State<OAuth>,
    RawQuery(query): RawQuery,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let cookies = Cookies::new(oauth.issuer());
    let params = Params::from_form(query.unwrap_or_default().as_bytes());
    let name = cookies.browser();
    match oauth.authorize(&params, cookie::find(&headers, &name)).await {
        Ok(Authorized::Ask { prompt, browser }) => {
            let page = layout::respond(&layout::CARD, StatusCode::OK, consent::page(&prompt, false));
            with_cookie(page, cookies.set(&name, &browser))
        }
        Ok(Authorized::Back(url)) => redirect(&url),
        Err(error) => error_page(&error, Some(&uri)),
    }
}

/// `POST /oauth/consent`: the person's answer.
pub(super) async fn consent(State(oauth): State<OAuth>, headers: HeaderMap, body: Body) -> Response {
    let cookies = Cookies::new(oauth.issuer());
    let params = Params::from_form(&read_body(body).await.unwrap_or_default());
    let Some(decision) = decision(&params) else {
        return error_page(&PageError::UnknownLogin, None);
    };
    let browser = cookie::find(&headers, &cookies.browser());
    match oauth.decide(&decision, browser).await {
        Ok(Decided::Google { url, ticket }) => {
            let name = cookies.login(&ticket.name);
            with_cookie(redirect(&url), cookies.set(&name, &ticket.value))
        }
        Ok(Decided::Back(url)) => redirect(&url),
        Ok(Decided::Again(prompt)) => {
            let page = layout::respond(
                &layout::CARD,
                StatusCode::SERVICE_UNAVAILABLE,
                self::consent::page(&prompt, true),
            );
            (retry_after(RETRY), page).into_response()
        }
        Err(error) => error_page(&error, None),
    }
}

fn decision(params: &Params) -> Option<Decision<'_>> {
    Some(Decision {
        login: params.one("login").ok()??,
        csrf: params.one("csrf").ok()??,
        approved: match params.one("decision").ok()?? {
            "approve" => true,
            "deny" => false,
            _ => return None,
        },
    })
}

/// `GET /auth/callback`: the return from Google.
pub(super) async fn callback(
    State(oauth): State<OAuth>,
    RawQuery(query): RawQuery,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let cookies = Cookies::new(oauth.issuer());
    let params = Params::from_form(query.unwrap_or_default().as_bytes());
    let state = params.one("state").ok().flatten().unwrap_or_default();
    let name = cookies.login(&login::ticket_name(state));
    match oauth.finish(&params, cookie::find(&headers, &name)).await {
        Ok(url) => with_cookie(redirect(&url), cookies.clear(&name)),
        Err(error) => error_page(&error, Some(&uri)),
    }
}

/// What a person is asked to wait before loading a page again.
const RETRY: Duration = Duration::from_secs(5);

/// 303, so that the browser follows a form with a GET. The URL may hold a code: it is told to nobody else.
fn redirect(url: &str) -> Response {
    let Ok(location) = HeaderValue::try_from(url) else {
        return error_page(&PageError::UnknownRedirect, None);
    };
    let headers = [
        (header::LOCATION, location),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (StatusCode::SEE_OTHER, headers).into_response()
}

fn with_cookie(mut response: Response, cookie: Option<HeaderValue>) -> Response {
    if let Some(cookie) = cookie {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// The page for an error. `again` is the URL that is worth loading again when only time has to pass.
fn error_page(error: &PageError, again: Option<&Uri>) -> Response {
    let (status, mut page) = explain(error);
    let away = status == StatusCode::SERVICE_UNAVAILABLE;
    if away {
        tracing::error!(%error, "a login cannot go on now");
        page.action = again
            .and_then(|uri| uri.path_and_query())
            .map(|href| ("Try again", href.to_string()));
    } else {
        tracing::warn!(%error, "a login was refused");
    }
    let response = layout::respond(&layout::CARD, status, error::page(&page));
    match error {
        PageError::Store(StoreError::Throttled { retry_after: wait }) => {
            (retry_after(*wait), response).into_response()
        }
        _ if away => (retry_after(RETRY), response).into_response(),
        _ => response,
    }
}
