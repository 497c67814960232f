//! The versions of the protocol at an end that answers: it tells them with each answer, and a call in another version
//! is refused with a word on which program to update.

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use tieup_protocol::version::{self, Behind, PROBLEM, Speaks, Versions};
use tieup_protocol::wire::VERSIONS;

use crate::problem::Refusal;

/// The router of an end at which `program` (`syncd 0.1.0`) answers, with the versions that it speaks.
pub fn speaking(router: Router, program: &'static str) -> Router {
    let tell = async move || Json(Speaks { program: program.to_owned(), versions: Versions::spoken() });
    let speak = async move |request: Request, next: Next| {
        let spoken = Versions::spoken();
        let mut response = match check(program, &request, &spoken) {
            Ok(()) => next.run(request).await,
            Err(refusal) => refusal.into_response(),
        };
        tell_versions(&mut response, &spoken);
        response
    };
    router.route(VERSIONS, get(tell)).layer(from_fn(speak))
}

fn check(program: &str, request: &Request, spoken: &Versions) -> Result<(), Refusal> {
    let Some(called) = version::of_path(request.uri().path()).filter(|called| !spoken.contains(*called)) else {
        return Ok(());
    };
    let hint = match spoken.behind(&Versions::from(called)) {
        Some(Behind::This) => format!("update {program} at the other end"),
        Some(Behind::Other) | None => format!("update the program that called; {program} answers here"),
    };
    let title = format!("{program} speaks version {spoken} of the protocol, and was called in version {called}");
    Err(Refusal::new(StatusCode::NOT_IMPLEMENTED, PROBLEM, title).hint(hint))
}

fn tell_versions(response: &mut Response, spoken: &Versions) {
    if let Ok(value) = HeaderValue::from_str(&spoken.to_string()) {
        response.headers_mut().insert(HeaderName::from_static(version::HEADER), value);
    }
}
