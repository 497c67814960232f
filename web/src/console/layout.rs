//! The frame around every page of a console.

use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::gate::{Gate, Sign};
use super::html::Html;
use crate::html;

/// Where the style sheet is.
pub(super) const STYLE_PATH: &str = "/console.css";

const STYLE: &str = include_str!("console.css");

/// What a page's frame says, and to whom.
#[derive(Clone, Debug)]
pub struct Frame {
    title: String,
    /// The token of forms, where somebody is signed in.
    token: Option<String>,
}

impl Frame {
    /// The frame of this console's pages for whoever is signed in, or for nobody.
    pub fn of(gate: &Gate, sign: Option<&Sign>) -> Self {
        Self { title: gate.title.clone(), token: sign.map(Sign::form_token) }
    }

    /// A form that POSTs to `action` with this session's token.
    pub fn form(&self, action: &str, fields: &Html) -> Html {
        let token = self.token.as_deref().unwrap_or_default();
        html!(
            "<form method=\"post\" action=\"{}\"><input type=\"hidden\" name=\"token\" value=\"{}\">{}</form>",
            action,
            token,
            fields
        )
    }

    fn header(&self) -> Html {
        let leave = match self.token {
            Some(_) => self.form("/sign-out", &html!("<button type=\"submit\" class=\"quiet\">Sign out</button>")),
            None => Html::default(),
        };
        html!("<header><a class=\"home\" href=\"/\">{}</a>{}</header>", self.title, leave)
    }
}

/// A page with `title` and what stands in its `main`.
pub fn page(frame: &Frame, status: StatusCode, title: &str, main: &Html) -> Response {
    let page = html!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{} - {}</title>\
         <link rel=\"stylesheet\" href=\"{}\"></head>\n<body>{}\n<main>{}</main></body></html>\n",
        title,
        frame.title,
        STYLE_PATH,
        frame.header(),
        main
    );
    let headers: [(HeaderName, &str); 1] = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
    (status, headers, page.as_str().to_owned()).into_response()
}

/// A page that says one thing.
pub fn notice(frame: &Frame, status: StatusCode, title: &str, text: &Html) -> Response {
    page(frame, status, title, &html!("<h1>{}</h1>{}", title, text))
}

/// The style sheet.
pub(super) async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")], STYLE).into_response()
}
