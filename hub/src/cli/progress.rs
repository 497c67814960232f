//! Bars on the terminal while a long build or a long count runs, and the line that sums a build up.

use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use tieup_generator::{Progress, Stand, Step};

use crate::counting::Progress as Counted;
use crate::partners::Hub;

/// How long a build runs before a bar shows: most are done by then, and a bar that flashes tells nothing.
const PATIENCE: Duration = Duration::from_millis(400);

/// How often the bar is drawn.
const BEAT: Duration = Duration::from_millis(80);

/// A build that runs. On a terminal a bar shows how far it is; the bar goes when this value does.
pub(super) struct Running {
    start: Instant,
    progress: Arc<Progress>,
    bar: Option<Bar>,
}

struct Bar {
    end: Sender<()>,
    drawing: JoinHandle<()>,
}

/// What a build came to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Summary {
    /// How many pages there are.
    pub(super) pages: usize,
    /// How many of them, over everything that was built, a template rendered.
    pub(super) rendered: usize,
    /// How many were taken from an earlier build.
    pub(super) cached: usize,
    /// How long it took.
    pub(super) seconds: f64,
}

impl Running {
    /// Begins. Nothing is ever drawn where standard error is no terminal.
    pub(super) fn begin() -> Self {
        let progress = Arc::default();
        let bar = io::stderr().is_terminal().then(|| Bar::begin(&progress));
        Self { start: Instant::now(), progress, bar }
    }

    /// The counters to hand to the generator.
    pub(super) fn progress(&self) -> Arc<Progress> {
        self.progress.clone()
    }

    /// What the build came to, with `pages` pages; the bar is gone then.
    pub(super) fn end(mut self, pages: usize) -> Summary {
        self.clear();
        let (rendered, cached) = (self.progress.rendered(), self.progress.cached());
        let milliseconds = u32::try_from(self.start.elapsed().as_millis()).unwrap_or(u32::MAX);
        Summary { pages, rendered, cached, seconds: f64::from(milliseconds) / 1000.0 }
    }

    fn clear(&mut self) {
        if let Some(Bar { end, drawing }) = self.bar.take() {
            drop(end);
            // A thread that failed to draw has nothing to tell.
            let _ = drawing.join();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.clear();
    }
}

impl Bar {
    fn begin(progress: &Arc<Progress>) -> Self {
        let (end, ended) = channel();
        let progress = progress.clone();
        Self { end, drawing: thread::spawn(move || draw(&progress, &ended)) }
    }
}

/// Draws until nobody holds the other end of `ended`.
fn draw(progress: &Progress, ended: &Receiver<()>) {
    let mut wait = PATIENCE;
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
    while ended.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
        if wait == PATIENCE {
            bar.set_draw_target(ProgressDrawTarget::stderr());
            wait = BEAT;
        }
        show(&bar, progress.stand());
    }
    bar.finish_and_clear();
}

fn show(bar: &ProgressBar, Stand { step, done, total }: Stand) {
    let word = match step {
        Step::Reading => "reading",
        Step::Pages => "pages",
        Step::Writing => "writing",
    };
    let template = if total == 0 { "{prefix:>8} {spinner}" } else { "{prefix:>8} [{bar:32}] {pos}/{len}" };
    bar.set_style(ProgressStyle::with_template(template).expect("a constant template").progress_chars("=> "));
    bar.set_prefix(word);
    bar.set_length(u64::try_from(total).unwrap_or(u64::MAX));
    bar.set_position(u64::try_from(done).unwrap_or(u64::MAX));
    bar.tick();
}

/// Something that may count for long. On a terminal a bar shows how far that is; the bar goes when this value does.
pub(super) struct Watched {
    bar: ProgressBar,
    drawing: Option<(Sender<()>, JoinHandle<()>)>,
}

/// How long counting goes on before a bar shows.
const LONG: Duration = Duration::from_secs(1);

impl Watched {
    /// Begins to watch what `hub` counts. Nothing is ever drawn where standard error is no terminal.
    pub(super) fn begin(hub: &Hub) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        let drawing = io::stderr().is_terminal().then(|| {
            let (end, ended) = channel();
            let (bar, progress) = (bar.clone(), hub.counted.clone());
            (end, thread::spawn(move || draw_counting(&bar, &progress, &ended)))
        });
        Self { bar, drawing }
    }

    /// Says something while the bar is out of the way.
    pub(super) fn say(&self, words: impl FnOnce()) {
        self.bar.suspend(words);
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some((end, drawing)) = self.drawing.take() {
            drop(end);
            // A thread that failed to draw has nothing to tell.
            let _ = drawing.join();
        }
    }
}

fn draw_counting(bar: &ProgressBar, progress: &Counted, ended: &Receiver<()>) {
    let mut wait = LONG;
    let style = ProgressStyle::with_template("counting [{bar:32}] {human_pos} of {human_len} entries");
    bar.set_style(style.expect("a constant template").progress_chars("=> "));
    while ended.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
        let (done, total) = progress.stand();
        if wait == LONG && done < total {
            bar.set_draw_target(ProgressDrawTarget::stderr());
            wait = BEAT;
        }
        bar.set_length(total);
        bar.set_position(done);
        bar.tick();
    }
    bar.finish_and_clear();
}

impl Summary {
    /// `12 rendered, 0 cached, 0.35 s`.
    pub(super) fn work(&self) -> String {
        format!("{} rendered, {} cached, {:.2} s", self.rendered, self.cached, self.seconds)
    }
}
