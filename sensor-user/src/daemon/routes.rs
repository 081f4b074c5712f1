//! The control API: one function from a request to an answer. What is asked is done in [`super::core`].

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::core::Core;
use super::peer::{Peer, Refusal, forbidden};
use super::{canary, follow, manage, metrics};
use crate::api::LAST;
use crate::api::types::{
    AgentId, Attach, EventQuery, Failure, NewAgent, NewProcess, PutPolicy, Removal,
};

/// The body of an answer.
pub type Body = BoxBody<Bytes, Infallible>;

/// Bytes of a request's body.
const BODY_MAX: usize = 1 << 20;
/// How long it may take.
const BODY_TIME: Duration = Duration::from_secs(10);

/// Answers a request. `streaming` is set where the answer goes on for as long as it is read.
pub async fn answer(
    core: Arc<Core>,
    peer: Peer,
    request: Request<Incoming>,
    streaming: Arc<AtomicBool>,
) -> Response<Body> {
    match route(core, peer, request, &streaming).await {
        Ok(response) => response,
        Err(refusal) => refuse(&refusal),
    }
}

async fn route(
    core: Arc<Core>,
    peer: Peer,
    request: Request<Incoming>,
    streaming: &AtomicBool,
) -> Result<Response<Body>, Refusal> {
    let (head, body) = request.into_parts();
    let path: Vec<&str> = head.uri.path().trim_matches('/').split('/').collect();
    let query = head.uri.query().unwrap_or_default();
    let root = |what: &str| if peer.is_root() { Ok(()) } else { Err(forbidden(what)) };
    match (head.method.clone(), path.as_slice()) {
        (Method::GET, ["v1", "health"]) => json(&serde_json::json!({ "ok": true })),
        (Method::GET, ["v1", "ready"]) => ready(core).await,
        (Method::GET, ["v1", "status"]) => {
            json(&blocking(move || Ok(manage::status(&core, peer))).await?)
        }
        (Method::POST, ["v1", "canary"]) => {
            root("send a canary")?;
            json(&blocking(move || Ok(canary::send(&core))).await?)
        }
        (Method::GET, ["v1", "agents"]) => json(&blocking(move || core.agents(peer)).await?),
        (Method::POST, ["v1", "agents"]) => {
            let new: NewAgent = read(body).await?;
            let made = blocking(move || core.create(peer, new)).await?;
            Ok(with(StatusCode::CREATED, json(&made)?))
        }
        (Method::GET, ["v1", "agents", id]) => {
            let id = agent_id(id)?;
            json(&blocking(move || core.agent(peer, id)).await?)
        }
        (Method::DELETE, ["v1", "agents", id]) => {
            let id = agent_id(id)?;
            done(blocking(move || core.remove(peer, id)).await?)
        }
        (Method::POST, ["v1", "agents", id, "processes"]) => {
            let id = agent_id(id)?;
            let new: NewProcess = read(body).await?;
            done(blocking(move || core.enter(peer, id, new.pid)).await?)
        }
        (Method::POST, ["v1", "attach"]) => {
            root("attach to processes")?;
            let wanted: Attach = read(body).await?;
            let attached = blocking(move || core.attach(peer, wanted)).await?;
            Ok(with(StatusCode::CREATED, json(&attached)?))
        }
        (Method::POST, ["v1", "agents", id, "end"]) => {
            let id = agent_id(id)?;
            json(&blocking(move || core.end(peer, id)).await?)
        }
        (Method::GET, ["v1", "policies"]) => {
            json(&blocking(move || Ok(manage::policies(&core, peer))).await?)
        }
        (Method::GET, ["v1", "policies", name]) => {
            let name = (*name).to_owned();
            json(&blocking(move || manage::policy(&core, peer, &name)).await?)
        }
        (Method::PUT, ["v1", "policies", name]) => {
            root("change policies")?;
            let name = (*name).to_owned();
            let put: PutPolicy = read(body).await?;
            json(&blocking(move || manage::put_policy(&core, &name, &put.text)).await?)
        }
        (Method::DELETE, ["v1", "policies", name]) => {
            root("remove policies")?;
            let name = (*name).to_owned();
            let Removal { force } = read_query(query)?;
            json(&blocking(move || manage::remove_policy(&core, &name, force)).await?)
        }
        (Method::POST, ["v1", "reload"]) => {
            root("reload policies")?;
            json(&blocking(move || core.reload()).await?)
        }
        (Method::GET, ["v1", "events"]) => {
            let query: EventQuery = read_query(query)?;
            streaming.store(true, Ordering::Relaxed);
            let (last, body) = follow::body(core, peer.uid, query);
            let mut response = typed("application/x-ndjson", body);
            response.headers_mut().insert(LAST, last.into());
            Ok(response)
        }
        (Method::GET, ["metrics"]) => {
            root("read metrics")?;
            let text = blocking(move || Ok(metrics::text(&core))).await?;
            Ok(typed(metrics::CONTENT_TYPE, Full::new(Bytes::from(text)).boxed()))
        }
        (_, path) => Err(unknown(path)),
    }
}

/// Ready means that the last canary was refused everything.
async fn ready(core: Arc<Core>) -> Result<Response<Body>, Refusal> {
    let enforcing = blocking(move || Ok(manage::enforcing(&core))).await?;
    let answer = json(&serde_json::json!({ "enforcing": enforcing }))?;
    Ok(if enforcing { answer } else { with(StatusCode::SERVICE_UNAVAILABLE, answer) })
}

fn unknown(path: &[&str]) -> Refusal {
    Refusal::Missing(format!("nothing answers this method at /{}", path.join("/")))
}

fn agent_id(text: &str) -> Result<AgentId, Refusal> {
    text.parse().map_err(Refusal::Bad)
}

/// Does something that may wait or compute, on a thread for such things.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| {
        Err(Refusal::Failed("the daemon stumbled over this request".to_owned()))
    })
}

/// Reads a query.
pub fn read_query<T: DeserializeOwned>(query: &str) -> Result<T, Refusal> {
    serde_urlencoded::from_str(query).map_err(|error| Refusal::Bad(format!("the query: {error}")))
}

/// Reads a body of JSON.
pub async fn read<T: DeserializeOwned>(body: Incoming) -> Result<T, Refusal> {
    let body = tokio::time::timeout(BODY_TIME, Limited::new(body, BODY_MAX).collect()).await;
    let body = body.map_err(|_| Refusal::Bad("the body took too long".to_owned()))?;
    let body = body.map_err(|error| Refusal::Bad(format!("the body: {error}")))?.to_bytes();
    serde_json::from_slice(&body).map_err(|error| Refusal::Bad(format!("the body: {error}")))
}

/// An answer of another kind.
pub fn typed(kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// An answer of JSON.
pub fn json(value: &impl Serialize) -> Result<Response<Body>, Refusal> {
    let mut text =
        serde_json::to_string(value).map_err(|error| Refusal::Failed(error.to_string()))?;
    text.push('\n');
    Ok(typed("application/json", Full::new(Bytes::from(text)).boxed()))
}

fn with(status: StatusCode, mut response: Response<Body>) -> Response<Body> {
    *response.status_mut() = status;
    response
}

fn done((): ()) -> Result<Response<Body>, Refusal> {
    Ok(with(StatusCode::NO_CONTENT, Response::new(Full::default().boxed())))
}

/// The answer that says no.
pub fn refuse(refusal: &Refusal) -> Response<Body> {
    let status = match refusal {
        Refusal::Bad(_) => StatusCode::BAD_REQUEST,
        Refusal::Forbidden(_) => StatusCode::FORBIDDEN,
        Refusal::Missing(_) => StatusCode::NOT_FOUND,
        Refusal::Conflict(_) => StatusCode::CONFLICT,
        Refusal::Full(_) => StatusCode::TOO_MANY_REQUESTS,
        Refusal::Late(_) => StatusCode::GATEWAY_TIMEOUT,
        Refusal::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let failure = Failure { error: refusal.to_string() };
    let response = json(&failure).unwrap_or_else(|_| Response::new(Full::default().boxed()));
    with(status, response)
}
