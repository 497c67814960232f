//! What the operator is told: one release that waits, as a letter, as data and as it is spoken.

use jiff::Timestamp;
use serde_json::{Value, json};
use tieup_protocol::approval::{ReleaseRecord, ReleaseState};
use tieup_protocol::digest::Digest;
use tieup_protocol::ids::{ReleaseVersion, SiteId};
use tieup_web::terminal::printable;

/// A prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The main site.
    pub main: SiteId,
    /// Whether the partner has others.
    pub others: Others,
    /// The partner whose operator is told.
    pub partner: SiteId,
    /// What about.
    pub subject: Subject,
    /// A page of the console to read it on. Opening it changes nothing.
    pub link: Option<String>,
    /// When it is told.
    pub time: Timestamp,
}

/// Whether a partner has further main sites, so that commands must name the one they are about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Others {
    /// It has one.
    #[default]
    None,
    /// It has several.
    Some,
}

/// What a prompt is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A release waits for a word.
    Waiting {
        /// The release.
        version: ReleaseVersion,
        /// Its manifest.
        manifest: Digest,
        /// The sentence about it.
        sentence: String,
        /// Why it waits.
        reason: String,
    },
    /// Whether prompts arrive is tried out.
    Test,
}

impl Subject {
    /// What is to be told of these releases: the one that waits for a word, if any.
    pub fn of(releases: &[ReleaseRecord]) -> Option<Self> {
        let waiting = releases.iter().find(|release| release.state == ReleaseState::Staged)?;
        Some(Self::Waiting {
            version: waiting.version,
            manifest: waiting.manifest,
            sentence: waiting.sentence.clone(),
            reason: waiting.waits_for.clone()?,
        })
    }

    /// Where the console shows it.
    pub fn path(&self) -> String {
        match self {
            Self::Waiting { version, .. } => format!("releases/{version}"),
            Self::Test => String::new(),
        }
    }
}

impl Notice {
    /// What tells this prompt from others: the same for every attempt at it, so that a receiver can drop a repetition.
    pub fn id(&self) -> String {
        let about = match &self.subject {
            Subject::Waiting { manifest, .. } => manifest.to_string(),
            Subject::Test => self.time.to_string(),
        };
        let digest = Digest::of(format!("{} {} {about}", self.main, self.partner).as_bytes()).hex();
        format!("msg_{}", &digest[..32])
    }

    /// In one line.
    pub fn title(&self) -> String {
        match &self.subject {
            Subject::Waiting { version, .. } => format!("Release {version} from {} waits for your word", self.main),
            Subject::Test => format!("A test: prompts for {} reach you", self.partner),
        }
    }

    /// As a letter.
    pub fn letter(&self) -> String {
        let link =
            self.link.as_deref().map(|link| format!("Read it, see it and decide:\n{link}\n\n")).unwrap_or_default();
        let syncd = match self.others {
            Others::None => "syncd".to_owned(),
            Others::Some => format!("syncd --main {}", self.main),
        };
        let text = match &self.subject {
            Subject::Waiting { version, sentence, reason, .. } => format!(
                "{sentence}.\n\nYou are asked because: {reason}.\n\n{link}\
                 Opening this mail or the link decides nothing. Until you have decided, your site stays as it is.\n\n\
                 On the machine where the daemon runs you can also type:\n\
                 \x20 {syncd} diff {version}\n  {syncd} approve {version}\n  {syncd} reject {version} --reason \"...\"\n"
            ),
            Subject::Test => format!(
                "This is a test. When {} publishes something that waits for your word, you are told like this.\n",
                self.main
            ),
        };
        printable(&format!("{text}\n-- \nsyncd of {}\n", self.partner))
    }

    /// As it is spoken.
    pub fn speech(&self) -> String {
        let Subject::Waiting { sentence, .. } = &self.subject else {
            return format!("This is a test. You hear this when a release from {} waits for your word.\n", self.main);
        };
        let told = sentence.split_once(": ").map_or(sentence.as_str(), |(_, told)| told);
        let mut text = format!("{}.", self.title());
        for part in told.split("; ") {
            let spoken = match part.strip_prefix("NEW ") {
                Some(risk) => format!("Attention: a new {risk}"),
                None => capitalized(part),
            };
            text = format!("{text} {spoken}.");
        }
        printable(&format!("{text} Please read it, then approve it or say no. Until then nothing changes.\n"))
    }

    /// As data, the body of a webhook.
    pub fn data(&self) -> Value {
        let (kind, mut data) = match &self.subject {
            Subject::Waiting { version, manifest, sentence, reason } => {
                let about = json!({"release": version, "manifest": manifest, "sentence": sentence, "reason": reason});
                ("release.waiting", about)
            }
            Subject::Test => ("test", json!({})),
        };
        data["main"] = json!(self.main);
        data["partner"] = json!(self.partner);
        data["title"] = json!(self.title());
        data["link"] = json!(self.link);
        json!({"type": kind, "timestamp": self.time, "data": data})
    }

    /// As environment variables of a program.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let mut variables = vec![
            ("TIEUP_MAIN", self.main.to_string()),
            ("TIEUP_PARTNER", self.partner.to_string()),
            ("TIEUP_TITLE", self.title()),
            ("TIEUP_LINK", self.link.clone().unwrap_or_default()),
        ];
        match &self.subject {
            Subject::Waiting { version, manifest, sentence, reason } => variables.extend([
                ("TIEUP_PROMPT", "waiting".to_owned()),
                ("TIEUP_RELEASE", version.to_string()),
                ("TIEUP_MANIFEST", manifest.to_string()),
                ("TIEUP_SENTENCE", printable(sentence)),
                ("TIEUP_REASON", printable(reason)),
            ]),
            Subject::Test => variables.push(("TIEUP_PROMPT", "test".to_owned())),
        }
        variables
    }
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting() -> Notice {
        Notice {
            main: "nationwide".parse().unwrap(),
            others: Others::None,
            partner: "north".parse().unwrap(),
            subject: Subject::Waiting {
                version: "5".parse().unwrap(),
                manifest: Digest::of(b"manifest"),
                sentence: "Release 5 from nationwide: 1 changed, 2 new; NEW external host: a.example, b.example; \
                           signature valid"
                    .to_owned(),
                reason: "the contract has no rule for automatic approval".to_owned(),
            },
            link: Some("http://localhost:7460/releases/5".to_owned()),
            time: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn it_reads_well_aloud() {
        assert_eq!(
            waiting().speech(),
            "Release 5 from nationwide waits for your word. 1 changed, 2 new. Attention: a new external host: \
             a.example, b.example. Signature valid. Please read it, then approve it or say no. Until then nothing \
             changes.\n"
        );
    }

    #[test]
    fn a_letter_says_what_why_and_where() {
        let letter = waiting().letter();
        for says in [
            "Release 5 from nationwide: 1 changed, 2 new;",
            "You are asked because: the contract has no rule",
            "\nhttp://localhost:7460/releases/5\n",
            "\n  syncd approve 5\n",
            "decides nothing",
        ] {
            assert!(letter.contains(says), "{says:?} is not said:\n{letter}");
        }
    }

    #[test]
    fn a_letter_names_the_main_site_in_commands_where_there_are_several() {
        let letter = Notice { others: Others::Some, ..waiting() }.letter();
        assert!(letter.contains("\n  syncd --main nationwide approve 5\n"), "{letter}");
    }

    #[test]
    fn every_attempt_at_a_prompt_has_its_id() {
        let (first, mut later) = (waiting(), waiting());
        later.time = Timestamp::from_second(60).unwrap();
        assert_eq!(first.id(), later.id());
        let other = Notice { partner: "south".parse().unwrap(), ..waiting() };
        assert_ne!(first.id(), other.id());
    }
}
