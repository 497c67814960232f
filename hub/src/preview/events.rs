//! Server-sent events: what a page is told when the site changes while it is open.

use std::convert::Infallible;

use axum::response::sse::Event;
use futures_util::stream::{self, Stream};
use serde_json::json;
use tieup_generator::Effect;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::desk::{Desk, Told};

/// How long a browser waits before it connects again, in milliseconds.
const RETRY: u64 = 500;

/// Everything that changes after the state `seen`, which a page shows. What was missed is told at once, also where
/// the page comes from an earlier run of the preview.
pub(super) fn events(desk: &Desk, seen: &str) -> impl Stream<Item = Result<Event, Infallible>> + use<> {
    let changes = desk.listen();
    let state = desk.state();
    let missed = (state != seen).then_some(Told { state, effect: Effect::Page });
    let greeting = Event::default().comment("watching").retry(std::time::Duration::from_millis(RETRY));
    let later = stream::unfold((missed, changes), |(missed, mut changes)| async {
        let told = match missed {
            Some(told) => told,
            None => next(&mut changes).await?,
        };
        Some((Ok(event(&told)), (None, changes)))
    });
    stream::StreamExt::chain(stream::iter([Ok(greeting)]), later)
}

async fn next(changes: &mut Receiver<Told>) -> Option<Told> {
    match changes.recv().await {
        Ok(told) => Some(told),
        Err(RecvError::Lagged(_)) => Some(Told { state: String::new(), effect: Effect::Page }),
        Err(RecvError::Closed) => None,
    }
}

fn event(told: &Told) -> Event {
    let effect = match told.effect {
        Effect::Nothing => "panel",
        Effect::Styles => "styles",
        Effect::Page => "page",
    };
    let data = json!({"state": told.state, "effect": effect}).to_string();
    Event::default().event("change").id(&told.state).data(data)
}
