//! Faults for tests: lets a chosen step of [`crate::durable::step`] fail, before it takes effect or after.

use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::io;
use std::path::{Path, PathBuf};

use crate::durable::Step;

/// When the chosen step fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// It fails and has no effect.
    NotDone,
    /// It takes effect, yet fails.
    DoneYetFailed,
}

/// What follows the failed step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// Later steps work: a disk that was full for a moment.
    Recovers,
    /// No later step has an effect: the process died.
    Dies,
}

struct Plan {
    at: usize,
    when: When,
    then: Then,
}

#[derive(Default)]
struct Run {
    plan: Option<Plan>,
    steps: Vec<(Step, PathBuf)>,
}

thread_local! {
    static RUN: RefCell<Run> = RefCell::default();
}

/// The changing steps that `action` takes, in order.
pub(crate) fn steps_of(action: impl FnOnce()) -> Vec<Step> {
    steps_with_paths(action).into_iter().map(|(step, _)| step).collect()
}

/// The same, each with the file or folder that it changes.
pub(crate) fn steps_with_paths(action: impl FnOnce()) -> Vec<(Step, PathBuf)> {
    RUN.set(Run::default());
    action();
    RUN.take().steps
}

/// Runs `scenario` once for each step that its `action` takes and each way in which it can fail.
///
/// The scenario calls [`Fault::during`] around what is to fail, then checks what it finds.
pub(crate) fn at_every_step(mut scenario: impl FnMut(&Fault)) {
    for then in [Then::Recovers, Then::Dies] {
        for when in [When::NotDone, When::DoneYetFailed] {
            for at in 0.. {
                let fault = Fault::new(at, when, then);
                scenario(&fault);
                if !fault.reached.get() {
                    assert!(at > 0, "the action takes no step");
                    break;
                }
            }
        }
    }
}

/// One step's failure.
#[derive(Debug)]
pub(crate) struct Fault {
    at: usize,
    when: When,
    then: Then,
    reached: Cell<bool>,
}

impl Fault {
    /// Step number `at`, counted from 0, fails.
    pub(crate) fn new(at: usize, when: When, then: Then) -> Self {
        Self { at, when, then, reached: Cell::new(false) }
    }

    /// Runs `action` with this fault in place.
    pub(crate) fn during<T>(&self, action: impl FnOnce() -> T) -> T {
        RUN.set(Run { plan: Some(Plan { at: self.at, when: self.when, then: self.then }), steps: Vec::new() });
        let result = action();
        self.reached.set(RUN.take().steps.len() > self.at);
        result
    }
}

/// Does `change`, unless this step is to fail.
pub(crate) fn around<T>(step: Step, path: &Path, change: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    if step == Step::Read {
        return change();
    }
    let fails = RUN.with_borrow_mut(|run| {
        let number = run.steps.len();
        run.steps.push((step, path.to_owned()));
        run.plan.as_ref().and_then(|plan| match number.cmp(&plan.at) {
            Ordering::Equal => Some(plan.when),
            Ordering::Greater if plan.then == Then::Dies => Some(When::NotDone),
            _ => None,
        })
    });
    match fails {
        None => change(),
        Some(When::NotDone) => Err(io::Error::other("fault before the step")),
        Some(When::DoneYetFailed) => change().and(Err(io::Error::other("fault after the step"))),
    }
}
