//! The small server of `--listen`: three pages to read, and nothing to send to it.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use outpost_queue::{operation::Survey, store::Store};
use tokio::{
    net::TcpListener,
    sync::{Mutex, Semaphore},
    time::{Instant, timeout},
};

use super::{
    metrics::{self, Metrics},
    page::{self, Facts},
};
use outpost_queue::operation::State;

/// Connections at a time.
const CONNECTIONS: usize = 32;
/// The time that a client may take for the head of a request.
const HEAD: Duration = Duration::from_secs(10);
/// The time that a connection may last.
const LIFE: Duration = Duration::from_secs(60);
/// The time for which an answer of the store counts: nobody has the queue counted more often.
const FRESH: Duration = Duration::from_secs(1);
/// The time that the store may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The destinations that are named.
const DESTINATIONS: usize = 50;
/// The pause after an error of the listening socket, such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// The subject of the pages.
pub(crate) struct Site<S> {
    pub(crate) store: S,
    pub(crate) metrics: Metrics,
    /// The store as people may see it.
    pub(crate) place: String,
    pub(crate) worker: String,
    pub(crate) last: Mutex<Option<(Instant, Result<State, String>)>>,
}

/// Opens the socket.
///
/// # Errors
/// The address cannot be had.
pub(crate) async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Serves for ever.
pub(crate) async fn serve<S: Store>(listener: TcpListener, site: Site<S>) {
    let site = Arc::new(site);
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(why) => {
                tracing::warn!("cannot accept a connection: {why}");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let site = Arc::clone(&site);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let site = Arc::clone(&site);
                async move { Ok::<_, Infallible>(site.answer(&request).await) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD)
                .serve_connection(TokioIo::new(stream), service);
            // It is the client's business if it goes away.
            let _ = timeout(LIFE, connection).await;
            drop(permit);
        });
    }
}

impl<S: Store> Site<S> {
    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            let mut refusal = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET is known here\n");
            let allow = header::HeaderValue::from_static("GET, HEAD");
            refusal.headers_mut().insert(header::ALLOW, allow);
            return refusal;
        }
        match request.uri().path() {
            "/" => self.page().await,
            "/metrics" => self.metrics().await,
            "/healthz" => match self.state().await {
                Ok(_) => plain(StatusCode::OK, "ok\n"),
                Err(_) => plain(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "the store does not answer\n",
                ),
            },
            _ => plain(
                StatusCode::NOT_FOUND,
                "there are /, /metrics and /healthz\n",
            ),
        }
    }

    /// The state that the store reports, not more than a moment old.
    async fn state(&self) -> Result<State, String> {
        let mut last = self.last.lock().await;
        if let Some((when, state)) = last.as_ref().filter(|(when, _)| when.elapsed() < FRESH) {
            let _ = when;
            return state.clone();
        }
        let survey = Survey {
            destinations: DESTINATIONS,
        };
        let state = match timeout(PATIENCE, self.store.run(survey)).await {
            Ok(state) => state.map_err(|why| why.to_string()),
            Err(_) => Err(format!("it takes more than {} seconds", PATIENCE.as_secs())),
        };
        *last = Some((Instant::now(), state.clone()));
        state
    }

    async fn page(&self) -> Response<Full<Bytes>> {
        let state = self.state().await;
        let facts = Facts {
            store: &self.place,
            worker: &self.worker,
            state: state.as_ref().map_err(String::as_str),
            verdicts: self.metrics.verdicts(),
        };
        let status = match state {
            Ok(_) => StatusCode::OK,
            Err(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        response(status, "text/html; charset=utf-8", page::render(&facts))
    }

    async fn metrics(&self) -> Response<Full<Bytes>> {
        let state = self.state().await;
        match self.metrics.render(state.as_ref().ok()) {
            Ok(text) => response(StatusCode::OK, metrics::MEDIA_TYPE, text),
            Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "no metrics\n"),
        }
    }
}

fn plain(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    response(status, "text/plain; charset=utf-8", text.to_owned())
}

fn response(status: StatusCode, media: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, media),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, page::SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, header::HeaderValue::from_static(value));
    }
    response
}
