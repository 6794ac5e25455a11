//! The MCP endpoints over HTTP: `/mcp` and `/mcp/sse` (Streamable HTTP in both eras, and the deprecated
//! HTTP+SSE transport on GET without a session), `/mcp/messages` (its POST side).

mod streams;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{MatchedPath, Query, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde::Deserialize;
use tokio::time::timeout;

use crate::access::challenge::challenge;
use crate::id::TaskId;
use crate::mcp::deliver::Delivered;
use crate::mcp::dispatch::Reply;
use crate::mcp::durable::Resumed;
use crate::mcp::envelope::{self, Message, RequestId};
use crate::mcp::era::{self, Era, EraHeaders, MODERN_VERSION};
use crate::mcp::error::{Code, RpcError};
use crate::mcp::modern;
use crate::mcp::sse;
use crate::mcp::standalone::ListVersion;
use crate::mcp::wheel::{IdleStream, Return, StreamKind};
use crate::model::principal::Principal;
use crate::oauth::scope::SCOPE;
use crate::session::directory::{Session, SessionError};
use crate::session::events::EventId;
use crate::session::seal::{LEGACY_VERSIONS, Transport};
use crate::web::App;
use crate::web::accept::Takeover;
use crate::web::body::{self, BodyError};
use crate::web::mcp::streams::{SILENT_MAX, answer_call, event_response, event_stream, idle};

/// Largest message. Far above every honest one, far below what hurts.
const MAX_BODY: usize = 4 << 20;
/// Path of the POST side of the HTTP+SSE transport.
const MESSAGES: &str = "/mcp/messages";
const SESSION_ID: &str = "mcp-session-id";
const PROTOCOL_VERSION: &str = "mcp-protocol-version";
/// How long a POST of HTTP+SSE waits for the first word of its call. 202 says that the answer is safe; a client whose
/// POST is broken off before knows at once that nothing will come.
const ACCEPTED_AFTER: Duration = SILENT_MAX;
/// Clients that are made to wait for it: those on the SDK for TypeScript, which sends any number of POSTs at a time, and
/// has the patience. Others send one after the other, or break a POST off after five seconds.
const PATIENT: [&str; 5] = ["node", "undici", "Bun/", "Deno/", "Cursor/"];

/// A response that ends a request early. Boxed, because it is large and rare.
struct Refused(Box<Response>);

impl From<Response> for Refused {
    fn from(response: Response) -> Self {
        Self(Box::new(response))
    }
}

impl Refused {
    fn with_header(mut self, name: header::HeaderName, value: &'static str) -> Self {
        self.0.headers_mut().insert(name, HeaderValue::from_static(value));
        self
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        *self.0
    }
}

/// The MCP routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/mcp", any(endpoint))
        .route("/mcp/sse", any(endpoint))
        .route(MESSAGES, post(messages))
}

async fn endpoint(State(app): State<App>, path: MatchedPath, request: Request) -> Result<Response, Refused> {
    let audience = format!("{}{}", app.config.server.origin(), path.as_str());
    let principal = authenticate(&app, &[&audience], request.headers())?;
    match *request.method() {
        Method::POST => post_message(&app, &principal, request).await,
        Method::GET => open_stream(&app, &principal, request).await,
        Method::DELETE => end_session(&app, &principal, request.headers()).await,
        _ => Err(method_not_allowed()),
    }
}

/// POST: one message in; JSON, an event stream or 202 out.
async fn post_message(app: &App, principal: &Arc<Principal>, request: Request) -> Result<Response, Refused> {
    let headers = request.headers().clone();
    let takeover = request.extensions().get::<Takeover>().cloned();
    accepts(&headers, &["application/json", "text/event-stream"])?;
    let body = read_body(request).await?;
    let message = envelope::parse(&body).map_err(|(id, error)| rpc_error(400, id.as_ref(), &error))?;
    let id = request_id(&message);
    let era = era::classify(&message, &era_headers(&headers))
        .map_err(|error| rpc_error(400, id.as_ref(), &error))?;
    let reply = match era {
        Era::Modern(meta) => app.mcp.modern(principal, &meta, message),
        Era::Legacy { .. } => {
            // `initialize` starts anew, whatever session the client still remembers.
            let starts = matches!(&message, Message::Request { method, .. } if method == "initialize");
            let session = if starts {
                None
            } else {
                session(app, principal, &headers, id.as_ref()).await?
            };
            app.mcp.legacy(principal, session.as_ref(), message).await
        }
    };
    respond(app, principal, reply, takeover).await
}

/// GET: the standalone stream of a session, a new session of the HTTP+SSE transport, or the way back to a stream.
async fn open_stream(app: &App, principal: &Arc<Principal>, request: Request) -> Result<Response, Refused> {
    let headers = request.headers();
    let last_event = headers
        .get("last-event-id")
        .map(|id| id.to_str().unwrap_or_default());
    if let Some(response) = last_event.and_then(modern::broken_off) {
        return Ok(event_response(Body::from(sse::message(&response))));
    }
    if text(headers, PROTOCOL_VERSION).is_some_and(|version| version == MODERN_VERSION) {
        return Err(method_not_allowed());
    }
    accepts(headers, &["text/event-stream"])?;
    let session = session(app, principal, headers, None).await?;
    if let Some(from) = last_event.and_then(EventId::parse) {
        return resume(app, principal, session, from).await;
    }
    if app.lifecycle.is_draining() {
        return match session {
            Some(_) => Err(unavailable("the gateway is stopping; connect again")),
            None => Ok(come_back_later(app)),
        };
    }
    let seen = last_event.and_then(ListVersion::parse);
    let stream = match (session, last_event) {
        // An id that is neither of a call nor of such a stream is of one that is over: 405 ends the client's tries.
        (Some(_), Some(_)) if seen.is_none() => return Err(method_not_allowed()),
        (Some(session), _) => app.mcp.standalone(principal, &session, seen),
        (None, _) => {
            let (id, session) =
                app.sessions()
                    .start(&principal.user, LEGACY_VERSIONS[0], Transport::HttpSse, 0);
            let task = app.mcp.task();
            let endpoint = sse::endpoint(&format!("{MESSAGES}?sessionId={id}&task={task}"));
            // Only a client that has been served before knows the version.
            let (lost, news) = if headers.contains_key(PROTOCOL_VERSION) {
                let lost = app.mcp.welcome_back(&principal.grant, session.key).await;
                (lost, app.mcp.list_may_have_changed())
            } else {
                (Bytes::new(), Bytes::new())
            };
            let owner = session.sealed.owner;
            let kind = StreamKind::HttpSse { owner };
            IdleStream {
                first: [sse::retry(kind.retry()), lost, endpoint, news].concat().into(),
                kind,
                session: session.key,
                grant: Arc::clone(&principal.grant),
            }
        }
    };
    idle(stream, request.extensions().get::<Takeover>().cloned()).await
}

/// GET with the place of a call's event: what the client missed, then what comes. Also on a task that stops, where it
/// gets no 503 for a call that this very task may be running.
async fn resume(
    app: &App,
    principal: &Arc<Principal>,
    session: Option<Session>,
    from: EventId,
) -> Result<Response, Refused> {
    let session = session.map(|session| session.key);
    match app.mcp.resume(principal, session, from).await {
        Resumed::Over => Err(method_not_allowed()),
        Resumed::Events(events) => Ok(event_stream(app, principal, events)),
    }
}

/// A stream that ends at once. Clients of the HTTP+SSE transport take any status but 200 for the end of the server,
/// and a stream that ends for a reason to connect again.
fn come_back_later(app: &App) -> Response {
    event_response(Body::from(app.mcp.wheel.come_back(Return::HttpSse)))
}

/// DELETE: the client ends its session.
async fn end_session(
    app: &App,
    principal: &Arc<Principal>,
    headers: &HeaderMap,
) -> Result<Response, Refused> {
    if text(headers, PROTOCOL_VERSION).is_some_and(|version| version == MODERN_VERSION) {
        return Err(method_not_allowed());
    }
    let Some(session) = session(app, principal, headers, None).await? else {
        let error = RpcError::new(Code::InvalidRequest, "DELETE needs the header `Mcp-Session-Id`");
        return Err(rpc_error(400, None, &error));
    };
    match app.sessions().end(&session, &principal.user).await {
        Ok(()) => {
            app.mcp.wheel.close_session(session.key);
            app.mcp.tell_end(session.key);
            Ok(StatusCode::NO_CONTENT.into_response())
        }
        Err(error) => {
            tracing::warn!(%error, "a session could not be ended");
            Err(unavailable("the session could not be ended now; try again"))
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MessagesQuery {
    session_id: Option<String>,
    /// The task that holds the stream.
    task: Option<String>,
}

/// POST side of the HTTP+SSE transport: 202, the answer goes out on the stream.
async fn messages(
    State(app): State<App>,
    Query(query): Query<MessagesQuery>,
    request: Request,
) -> Result<StatusCode, Refused> {
    let origin = app.config.server.origin();
    let [mcp, mcp_sse] = [format!("{origin}/mcp"), format!("{origin}/mcp/sse")];
    let principal = authenticate(&app, &[&mcp, &mcp_sse], request.headers())?;
    let id = query.session_id.unwrap_or_default();
    let session = app.sessions().open(&id, &principal.user).await;
    let mut session = session.map_err(|error| session_error(None, error))?;
    let patient = is_patient(request.headers());
    let body = read_body(request).await?;
    let message = envelope::parse(&body).map_err(|(id, error)| rpc_error(400, id.as_ref(), &error))?;
    let outlet = if let Message::Request { id, .. } = &message {
        let named = query.task.as_deref().and_then(TaskId::parse);
        let outlet = app.mcp.outlet(session.key, named, id).await;
        Some(outlet.ok_or_else(unconnected)?)
    } else {
        None
    };
    // What the client says next of this request, such as a cancel, it says on the stream that it has by now.
    session.key = outlet.as_ref().map_or(session.key, |outlet| outlet.session);
    let sent = match app.mcp.legacy(&principal, Some(&session), message).await {
        Reply::Message { body, .. } => {
            let mut outlet = outlet.ok_or_else(unconnected)?;
            app.mcp.pass(&mut outlet, &sse::message(&body), true).await == Delivered::Sent
        }
        Reply::Call(call) => {
            let sent = app
                .mcp
                .deliver(&principal.grant, outlet.ok_or_else(unconnected)?, call);
            let patience = app.clock.interval(ACCEPTED_AFTER);
            !patient || !matches!(timeout(patience, sent).await, Ok(Ok(false)))
        }
        Reply::Accepted | Reply::Idle(_) => true,
    };
    if sent {
        Ok(StatusCode::ACCEPTED)
    } else {
        Err(lost())
    }
}

fn is_patient(headers: &HeaderMap) -> bool {
    let agent = text(headers, "user-agent").unwrap_or_default();
    PATIENT.iter().any(|known| agent.starts_with(known))
}

fn unconnected() -> Refused {
    unavailable("the event stream of this session is not connected; open it again")
}

/// The work was done, or at least begun.
fn lost() -> Refused {
    let error = RpcError::new(
        Code::Internal,
        "the event stream ended before the answer could be sent; what was asked may have been done: look before you ask again",
    );
    rpc_error(500, None, &error)
}

async fn respond(
    app: &App,
    principal: &Principal,
    reply: Reply,
    takeover: Option<Takeover>,
) -> Result<Response, Refused> {
    match reply {
        Reply::Accepted => Ok(StatusCode::ACCEPTED.into_response()),
        Reply::Message {
            status,
            body,
            session_id,
        } => {
            let mut response = json_response(status, body);
            if let Some(id) = session_id.and_then(|id| HeaderValue::from_str(&id).ok()) {
                response.headers_mut().insert(SESSION_ID, id);
            }
            Ok(response)
        }
        Reply::Call(call) => Ok(answer_call(app, principal, call).await),
        Reply::Idle(_) if app.lifecycle.is_draining() => {
            Err(unavailable("the gateway is stopping; connect again"))
        }
        Reply::Idle(stream) => idle(stream, takeover).await,
    }
}

fn authenticate(app: &App, audiences: &[&str], headers: &HeaderMap) -> Result<Arc<Principal>, Refused> {
    let authorization = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
    app.bearer.verify(authorization, audiences).map_err(|error| {
        tracing::debug!(%error, "unauthorized");
        let resource = audiences.first().copied().unwrap_or_default();
        let path = resource.strip_prefix(app.oauth.issuer()).unwrap_or_default();
        let body = serde_json::json!({"error": "invalid_token", "error_description": error.to_string()});
        let mut response = json_response(401, body.to_string().into_bytes());
        let challenge = challenge(&app.oauth.resource_metadata_url(path), SCOPE, error);
        if let Ok(challenge) = HeaderValue::from_str(&challenge) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response.into()
    })
}

/// The session that the header names, if it names one.
async fn session(
    app: &App,
    principal: &Principal,
    headers: &HeaderMap,
    id: Option<&RequestId>,
) -> Result<Option<Session>, Refused> {
    let Some(value) = headers.get(SESSION_ID) else {
        return Ok(None);
    };
    let session_id = value.to_str().unwrap_or_default();
    app.sessions()
        .open(session_id, &principal.user)
        .await
        .map(Some)
        .map_err(|error| session_error(id, error))
}

fn session_error(id: Option<&RequestId>, error: SessionError) -> Refused {
    tracing::info!(reason = ?error, "session refused");
    rpc_error(404, id, &RpcError::new(Code::SessionNotFound, error.to_string()))
}

fn request_id(message: &Message<'_>) -> Option<RequestId> {
    match message {
        Message::Request { id, .. } => Some(id.clone()),
        Message::Notification { .. } | Message::Response { .. } => None,
    }
}

/// The body, bounded in size; the connection bounds its time.
async fn read_body(request: Request) -> Result<Bytes, Refused> {
    let content_type = text(request.headers(), "content-type").unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        let error = RpcError::new(
            Code::InvalidRequest,
            "the header `Content-Type` must be `application/json`",
        );
        return Err(rpc_error(415, None, &error));
    }
    body::read(request.into_body(), MAX_BODY).await.map_err(|error| {
        let code = match error {
            BodyError::BrokenOff => Code::ParseError,
            BodyError::TooLarge(_) | BodyError::TooSlow => Code::InvalidRequest,
        };
        let error_body = RpcError::new(code, error.to_string());
        closing(rpc_error(error.status().as_u16(), None, &error_body))
    })
}

/// Unread bytes are left on the connection, so it cannot serve another request.
fn closing(response: Refused) -> Refused {
    response.with_header(header::CONNECTION, "close")
}

/// Whether `Accept` admits all of `types`; a missing header admits nothing, as the transport asks for it.
fn accepts(headers: &HeaderMap, types: &[&str]) -> Result<(), Refused> {
    let ranges: Vec<String> = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|range| {
            range
                .split(';')
                .next()
                .unwrap_or_default()
                .trim()
                .to_ascii_lowercase()
        })
        .collect();
    let admits = |wanted: &&str| {
        let group = wanted.split('/').next().unwrap_or_default();
        ranges
            .iter()
            .any(|range| range == wanted || range == "*/*" || *range == format!("{group}/*"))
    };
    if types.iter().all(admits) {
        return Ok(());
    }
    let message = format!("the header `Accept` must list {}", types.join(" and "));
    Err(rpc_error(
        406,
        None,
        &RpcError::new(Code::InvalidRequest, message),
    ))
}

fn era_headers(headers: &HeaderMap) -> EraHeaders {
    let all = |name: &str| {
        headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect()
    };
    EraHeaders {
        protocol_version: all(PROTOCOL_VERSION),
        method: all("mcp-method"),
        name: all("mcp-name"),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn json_response(status: u16, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn rpc_error(status: u16, id: Option<&RequestId>, error: &RpcError) -> Refused {
    tracing::debug!(status, %error, "refused");
    json_response(status, error.response(id)).into()
}

fn method_not_allowed() -> Refused {
    let error = RpcError::new(Code::InvalidRequest, "this method is not served here");
    rpc_error(405, None, &error).with_header(header::ALLOW, "GET, POST, DELETE")
}

fn unavailable(message: &str) -> Refused {
    let error = RpcError::new(Code::Internal, message);
    rpc_error(503, None, &error).with_header(header::RETRY_AFTER, "1")
}
