//! What a process says, line by line, heard in time: whoever waits for a line that does not come fails, and waits no longer.

use std::io::{BufRead as _, BufReader, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// The lines of one stream of a process. They are read as they come, also after this is dropped, so that the process never
/// waits for room and never writes to nobody.
#[derive(Debug)]
pub struct Hearing {
    lines: Receiver<String>,
    patience: Duration,
}

impl Hearing {
    /// Hears `output`, and waits for each thing no longer than `patience`.
    pub fn of(output: impl Read + Send + 'static, patience: Duration) -> Self {
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // Nobody waits for lines once the hearing is dropped.
                let _ = sender.send(line);
            }
        });
        Self { lines, patience }
    }

    /// The next line; none when the stream has ended.
    ///
    /// # Panics
    /// When neither comes in time.
    #[track_caller]
    pub fn line(&self) -> Option<String> {
        self.line_until(Instant::now() + self.patience, "")
    }

    /// All lines up to the one that holds `words`.
    ///
    /// # Panics
    /// When the stream ends before, or that line does not come in time.
    #[track_caller]
    pub fn until(&self, words: &str) -> String {
        let (deadline, mut said) = (Instant::now() + self.patience, String::new());
        while let Some(line) = self.line_until(deadline, &said) {
            said = said + &line + "\n";
            if line.contains(words) {
                return said;
            }
        }
        panic!("{words:?} is not said, but:\n{said}")
    }

    /// All lines that are still to come, once the stream has ended.
    ///
    /// # Panics
    /// When it does not end in time.
    #[track_caller]
    pub fn rest(&self) -> Vec<String> {
        let (deadline, mut said) = (Instant::now() + self.patience, Vec::new());
        while let Some(line) = self.line_until(deadline, &said.join("\n")) {
            said.push(line);
        }
        said
    }

    /// The next line, if it comes by `deadline`.
    ///
    /// # Errors
    /// When it does not, or the stream has ended.
    pub fn heard_by(&self, deadline: Instant) -> Result<String, RecvTimeoutError> {
        self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now()))
    }

    #[track_caller]
    fn line_until(&self, deadline: Instant, said: &str) -> Option<String> {
        match self.heard_by(deadline) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("nothing more is said in {:?}, after:\n{said}", self.patience),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Write as _, pipe};
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    #[test]
    fn who_says_nothing_more_is_not_waited_for() {
        let (reader, mut writer) = pipe().unwrap();
        let hearing = Hearing::of(reader, Duration::from_millis(50));
        writer.write_all(b"one\ntwo\nthree\n").unwrap();
        assert_eq!(hearing.line().as_deref(), Some("one"));
        assert_eq!(hearing.until("tw"), "two\n");
        let waits: [fn(&Hearing); 3] = [|it| drop(it.rest()), |it| drop(it.until("four")), |it| drop(it.line())];
        for wait in waits {
            assert!(catch_unwind(AssertUnwindSafe(|| wait(&hearing))).is_err(), "it was waited for");
        }
        drop(writer);
        assert_eq!((hearing.line(), hearing.rest()), (None, Vec::new()));
    }
}
