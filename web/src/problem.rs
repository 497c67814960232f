//! Problem responses after RFC 9457: how a refusal crosses the wire and is shown to a person.

use std::error::Error as StdError;
use std::fmt;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use tieup_protocol::wire::Problem;

/// A refusal that a handler answers with.
#[derive(Debug, Clone)]
pub struct Refusal(Box<Problem>);

/// The media type of a problem.
const MEDIA_TYPE: &str = "application/problem+json";

impl Refusal {
    /// A refusal of the stable kind `kind` (without its prefix `tieup:`), with one sentence for a person.
    pub fn new(status: StatusCode, kind: &str, title: impl Into<String>) -> Self {
        Self(Box::new(Problem {
            kind: format!("tieup:{kind}"),
            status: status.as_u16(),
            title: title.into(),
            detail: None,
            hint: None,
            time: Timestamp::now(),
        }))
    }

    /// A refusal whose cause is `error`: the first sentence is the title, the causes below it the detail.
    pub fn caused_by(status: StatusCode, kind: &str, error: &(dyn StdError + 'static)) -> Self {
        let mut refusal = Self::new(status, kind, error.to_string());
        let mut causes = Vec::new();
        let mut source = error.source();
        while let Some(cause) = source {
            causes.push(cause.to_string());
            source = cause.source();
        }
        refusal.0.detail = (!causes.is_empty()).then(|| causes.join("\n"));
        refusal
    }

    /// The same with what lies beneath, where it is known.
    #[must_use]
    pub fn detail(mut self, detail: Option<String>) -> Self {
        self.0.detail = detail;
        self
    }

    /// The same with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// The problem that is sent.
    pub fn problem(&self) -> &Problem {
        &self.0
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        match serde_json::to_vec(&*self.0) {
            Ok(body) => (status, [(header::CONTENT_TYPE, MEDIA_TYPE)], body).into_response(),
            Err(_) => status.into_response(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.title)
    }
}

impl StdError for Refusal {}
