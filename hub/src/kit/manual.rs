//! The manual of a kit: what an operator does, in the words and numbers of the contract.

use tieup_protocol::change::Risks;
use tieup_protocol::contract::{AutoRule, Charge, Only, Override, Owner, Partnership, Policy, Strategy};
use tieup_protocol::decimal::Decimal;

use super::{Kit, templates};

const BEGIN: &str = include_str!("../../starter/kit/begin.md");
const JOIN: &str = include_str!("../../starter/kit/join.md");
const ORIGINALS: &str = include_str!("../../starter/kit/originals.md");
const SLOTS: &str = include_str!("../../starter/kit/slots.md");
const TEMPLATES: &str = include_str!("../../starter/kit/templates.md");
const FEES: &str = include_str!("../../starter/kit/fees.md");
const LINK: &str = include_str!("../../starter/kit/link.md");

impl Kit<'_> {
    /// The manual for this kind of partnership.
    pub(super) fn manual(&self) -> String {
        let (id, (main, _)) = (&self.contract.id, self.main);
        let begin =
            fill(BEGIN, &[("{title}", &self.title()), ("{contract}", &id.to_string()), ("{takes}", self.takes())]);
        let sections = match self.contract.partnership {
            Partnership::Link => self.link(),
            Partnership::Inherited | Partnership::Framework => self.site_sections(),
        };
        fill(&(begin + &sections), &[("{main}", main)])
    }

    fn takes(&self) -> &'static str {
        match self.contract.partnership {
            Partnership::Inherited => "their layout and their pages, and add pages of your own.",
            Partnership::Framework => "their layout; every page is your own.",
            Partnership::Link => "a link alone.",
        }
    }

    fn site_sections(&self) -> String {
        let mut text = fill(JOIN, &[("{approval}", &self.approval()), ("{arrivals}", &self.arrivals())]);
        text += &self.originals();
        if self.contract.partnership == Partnership::Framework {
            text += &fill(
                TEMPLATES,
                &[("{theme}", self.framework.name()), ("{templates}", &templates::list(self.framework))],
            );
        }
        if !self.contract.slots.is_empty() {
            let slots: Vec<String> = self.contract.slots.iter().map(|slot| format!("`{slot}`")).collect();
            text += &fill(SLOTS, &[("{slots}", &slots.join(", "))]);
        }
        let month = self.contract.effective.from.strftime("%Y-%m").to_string();
        text + &fill(FEES, &[("{fees}", &self.fees()), ("{month}", &month)])
    }

    fn approval(&self) -> String {
        let approval = &self.contract.approval;
        let rules: Vec<String> = approval.auto.iter().map(rule).collect();
        let mut text = if rules.is_empty() {
            "Nothing of {main} goes live before you approve it.".to_owned()
        } else {
            let (rules, when, accepted) = (rules.join("; "), self.when(), accepted(&approval.accept));
            format!(
                "The contract lets this go live unasked{when}: {rules}{accepted}. \
                 Everything else waits until you approve it. The first release, a new version of the contract and what \
                 comes after a rollback always wait for you."
            )
        };
        if approval.policy == Policy::Emergency {
            text = text.replacen("Nothing of {main}", "But for emergencies, nothing of {main}", 1);
            text += " What {main} marks as an emergency, with its reason, goes live at once; you are told, and \
                     `syncd rollback` undoes it.";
        }
        if approval.strategy == Strategy::Overwrite {
            text += " Each release overwrites the one before it: you can roll back by one.";
        }
        text
    }

    /// When a rule makes something live, after a word such as `unasked`.
    fn when(&self) -> String {
        let approval = &self.contract.approval;
        let soak = approval.soak.map_or(0, |soak| soak.seconds().div_ceil(60));
        let soak = match soak {
            0 => String::new(),
            minutes => format!(", {minutes} minutes after it came unless you hold or reject it"),
        };
        if approval.hours.is_none() && approval.days.is_empty() {
            return soak;
        }
        let hours = approval.hours.map_or_else(|| "at any hour".to_owned(), |hours| format!("at {hours}"));
        let days: Vec<String> = approval.days.iter().map(ToString::to_string).collect();
        let days = if days.is_empty() { "every day".to_owned() } else { format!("on {}", days.join(", ")) };
        format!("{soak}, {hours} {days} ({})", self.contract.effective.tz.name())
    }

    /// When main pushes.
    fn arrivals(&self) -> String {
        match self.schedule {
            Some(schedule) => format!("{{main}} sends what is new {schedule}."),
            None => "{main} sends what is new whenever its site changes.".to_owned(),
        }
    }

    fn originals(&self) -> String {
        let Some((file, path)) = self.first_page() else {
            return "## Your own pages\n\nThe contract gives you no paths for pages of your own.\n\n".to_owned();
        };
        let mounts: Vec<String> =
            self.contract.mounts.iter().map(|(path, owner)| format!("- `{path}` and below: {owner}")).collect();
        let has_mains = self.contract.mounts.iter().any(|(_, owner)| owner == Owner::Main);
        let rights = match self.contract.rights.replace {
            _ if !has_mains => "Every page of your site is your own.",
            Override::Always => "A page of yours at a path of main's takes the place of main's page.",
            Override::Never | Override::Emergency => {
                "A page of yours at a path of main's is refused, and your site stays as it was."
            }
        };
        let (mounts, file, path) = (mounts.join("\n"), file.to_string(), path.to_string());
        fill(ORIGINALS, &[("{mounts}", &mounts), ("{rights}", rights), ("{page}", &file), ("{path}", &path)])
    }

    fn fees(&self) -> String {
        let mut text: Vec<String> = Vec::new();
        for (name, charge) in &self.contract.terms.charges {
            text.push(match charge {
                Charge::Base(_) => format!("`{name}`, {} a month", self.money(self.base())),
                Charge::Services(_) => format!("`{name}`, for services that main renders"),
                Charge::Graduated(tiered) | Charge::Volume(tiered) | Charge::Flat(tiered) => {
                    format!("`{name}`, by the meter `{}`", tiered.meter)
                }
                Charge::Package(package) => format!("`{name}`, by the meter `{}`", package.meter),
                Charge::PerEvent(event) => format!("`{name}`, {} of each of `{}`", event.rate, event.of.event),
            });
        }
        match text.as_slice() {
            [] => "Nothing is charged.".to_owned(),
            text => format!("You are charged {}.", text.join("; ")),
        }
    }

    /// The amount for this kind of partnership.
    fn base(&self) -> Decimal {
        let base = self.contract.terms.charges.values().find_map(|charge| match charge {
            Charge::Base(base) => Some(base.amount(self.contract.partnership)),
            _ => None,
        });
        base.unwrap_or(Decimal::whole(0))
    }

    fn money(&self, amount: Decimal) -> String {
        format!("{} {amount}", self.contract.terms.money.currency.code())
    }

    fn link(&self) -> String {
        let (name, url) = self.main;
        let paid = self.base().is_above(Decimal::whole(0));
        let (rel, why) = if paid {
            (
                " rel=\"sponsored\"",
                "Leave `rel=\"sponsored\"` in it: the link is paid for, and search engines ask to be told.",
            )
        } else {
            ("", "It needs no `rel`: nothing is paid for it.")
        };
        let name = name.replace('&', "&amp;").replace('<', "&lt;");
        let shown = self.pictures().map(|(path, _)| {
            let shown = format!("<a href=\"{url}\"{rel}><img src=\"{path}\" alt=\"{name}\"></a>");
            format!("\nOr with a picture, `{path}`:\n\n```html\n{shown}\n```\n")
        });
        let pictures = shown.collect::<Vec<_>>().concat();
        let month = format!("The contract's amount for a link is {} a month.", self.money(self.base()));
        let fees = if paid { month } else { "Nothing is charged for it.".to_owned() };
        let words = [("{url}", url), ("{rel}", rel), ("{pictures}", &pictures), ("{paid}", why), ("{fees}", &fees)];
        fill(&fill(LINK, &words), &[("{name}", &name)])
    }
}

/// A rule of the approval policy in words.
fn rule(rule: &AutoRule) -> String {
    let what = match rule.only {
        Only::Text => "changed words",
        Only::Any => "any change",
    };
    let size = rule.max_bytes.map_or_else(String::new, |size| format!(", in files of at most {} bytes", size.0));
    format!("{what} at `{}`{size}", rule.paths)
}

/// The scripts, forms and hosts that the rules let through.
fn accepted(accept: &Risks) -> String {
    let named: Vec<String> =
        [&accept.scripts, &accept.forms, &accept.hosts].into_iter().flatten().map(|name| format!("`{name}`")).collect();
    if named.is_empty() { String::new() } else { format!("; also where it brings {}", named.join(", ")) }
}

fn fill(text: &str, words: &[(&str, &str)]) -> String {
    words.iter().fold(text.to_owned(), |text, (place, word)| text.replace(place, word))
}
