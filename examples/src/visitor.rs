//! A visitor: asks for pages over HTTP as a browser would.

use std::net::SocketAddr;

use anyhow::Result;
use axum::body::Body;
use axum::http::{Request, header};
use http_body_util::BodyExt as _;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// What a desktop browser says of itself.
pub const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

/// What a search engine's robot says of itself.
pub const ROBOT: &str = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";

/// A visitor with one kind of program. It follows no redirect.
#[derive(Clone, Debug)]
pub struct Visitor {
    client: Client<HttpConnector, Body>,
    agent: String,
}

/// What a visitor got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: axum::http::HeaderMap,
    /// The body as text.
    pub text: String,
}

impl Visitor {
    /// A visitor whose program says `agent` of itself.
    pub fn new(agent: &str) -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build_http(), agent: agent.to_owned() }
    }

    /// Asks the site at `site` for `path`.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn get(&self, site: SocketAddr, path: &str) -> Result<Page> {
        let request = Request::get(format!("http://{site}{path}")).header(header::USER_AGENT, &self.agent);
        self.send(request.body(Body::empty())?).await
    }

    /// Sends a request as it is.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn send(&self, request: Request<Body>) -> Result<Page> {
        let response = self.client.request(request).await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.into_body().collect().await?.to_bytes();
        Ok(Page { status, headers, text: String::from_utf8_lossy(&body).into_owned() })
    }
}
