//! Contracts for tests: complete ones, of which a test changes what it is about.

use tieup_protocol::robots;

use crate::world::MAIN;

/// The fees of a contract whose test is not about fees.
const FEES: &str = r#"meters: {tie: {views: {class: tieup}}, own: {views: {class: original}}}
charges:
  base: {by: partnership, link: 0, framework: 20000, inherited: 50000}
  access: {graduated: tie, tiers: [[0, "0.50"]]}
"#;

/// A contract between the fixture's main site and one partner.
#[derive(Clone, Debug)]
pub struct Contract(Text);

#[derive(Clone, Debug)]
enum Text {
    Made {
        version: u32,
        partnership: &'static str,
        mounts: String,
        rights: String,
        approval: String,
        fees: String,
        schedule: String,
        journal: String,
        zone: String,
        beacons: String,
    },
    Raw(String),
}

impl Contract {
    /// Layout and pages; `/local/` is the partner's. The operator is asked about everything.
    pub fn inherited() -> Self {
        Self::made("inherited", r#"{"/": main, "/local/**": partner}"#)
    }

    /// The layout alone; every path is the partner's. The operator is asked about everything.
    pub fn framework() -> Self {
        Self::made("framework", r#"{"/": partner}"#)
    }

    /// A link alone.
    pub fn link() -> Self {
        Self::made("link", r#"{"/": partner}"#)
    }

    /// A contract word for word.
    pub fn raw(text: &str) -> Self {
        Self(Text::Raw(text.to_owned()))
    }

    fn made(partnership: &'static str, mounts: &str) -> Self {
        let (mounts, rights) = (mounts.to_owned(), "{override: never}".to_owned());
        Self(Text::Made {
            version: 1,
            partnership,
            mounts,
            rights,
            approval: "{policy: ask}".to_owned(),
            fees: FEES.to_owned(),
            schedule: String::new(),
            journal: "{writer: partner, verifier: both}".to_owned(),
            zone: "Asia/Tokyo".to_owned(),
            beacons: String::new(),
        })
    }

    /// The same as version `number`.
    #[must_use]
    pub fn version(mut self, number: u32) -> Self {
        if let Text::Made { version, .. } = &mut self.0 {
            *version = number;
        }
        self
    }

    /// The same with other mounts, as YAML.
    #[must_use]
    pub fn mounts(mut self, yaml: &str) -> Self {
        if let Text::Made { mounts, .. } = &mut self.0 {
            yaml.clone_into(mounts);
        }
        self
    }

    /// The same with other rights, as YAML.
    #[must_use]
    pub fn rights(mut self, yaml: &str) -> Self {
        if let Text::Made { rights, .. } = &mut self.0 {
            yaml.clone_into(rights);
        }
        self
    }

    /// The same with rules for automatic approval, as a YAML list.
    #[must_use]
    pub fn auto(self, yaml: &str) -> Self {
        self.approval(&format!("{{policy: ask, auto: {yaml}}}"))
    }

    /// The same with other terms of approval, as YAML.
    #[must_use]
    pub fn approval(mut self, yaml: &str) -> Self {
        if let Text::Made { approval, .. } = &mut self.0 {
            yaml.clone_into(approval);
        }
        self
    }

    /// The same with other meters, charges and adjustments, as YAML.
    #[must_use]
    pub fn fees(mut self, yaml: &str) -> Self {
        if let Text::Made { fees, .. } = &mut self.0 {
            yaml.clone_into(fees);
        }
        self
    }

    /// The same with times to push, as YAML.
    #[must_use]
    pub fn schedule(mut self, yaml: &str) -> Self {
        if let Text::Made { schedule, .. } = &mut self.0 {
            *schedule = format!("schedule: {yaml}\n");
        }
        self
    }

    /// The same with other terms of the journal, as YAML.
    #[must_use]
    pub fn journal(mut self, yaml: &str) -> Self {
        if let Text::Made { journal, .. } = &mut self.0 {
            yaml.clone_into(journal);
        }
        self
    }

    /// The same with days and months of another time zone.
    #[must_use]
    pub fn zone(mut self, name: &str) -> Self {
        if let Text::Made { zone, .. } = &mut self.0 {
            name.clone_into(zone);
        }
        self
    }

    /// The same with beacons on main's pages, as YAML, of which 2% may lack an entry in the journal.
    #[must_use]
    pub fn beacons(mut self, yaml: &str) -> Self {
        if let Text::Made { beacons, .. } = &mut self.0 {
            *beacons = format!("beacons: {yaml}\ndispute: {{window: 30d, beacon_tolerance: \"2%\"}}\n");
        }
        self
    }

    /// The document for `partner`.
    pub fn text(&self, partner: &str) -> String {
        self.between(MAIN, partner)
    }

    /// The document for `partner` and another main site than the fixture's.
    pub fn between(&self, main: &str, partner: &str) -> String {
        let Text::Made { version, partnership, mounts, rights, approval, fees, schedule, journal, zone, beacons } =
            &self.0
        else {
            let Text::Raw(text) = &self.0 else { return String::new() };
            return text.clone();
        };
        let robots = robots::list_digest();
        format!(
            r#"contract: {main}/{partner}@{version}
effective: {{from: 2020-01-01, tz: {zone}}}
partnership: {partnership}
mounts: {mounts}
rights: {rights}
slots: [nav]
approval: {approval}
{schedule}journal: {journal}
count: {{rules: page-view/1, robots: "{robots}", double_click: 30s, session: hour}}
money: {{currency: JPY, round: half_up, at: line}}
{fees}{beacons}close: {{grace: 5d, late: next_period_correction}}
"#
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contracts_of_the_fixture_are_contracts() {
        for contract in
            [Contract::inherited().version(7), Contract::framework().auto(r#"[{paths: "/**", only: text}]"#)]
        {
            let text = contract.text("north");
            let parsed = tieup_protocol::contract::Contract::parse("contract.yaml", &text);
            assert_eq!(parsed.unwrap_or_else(|error| panic!("{error}")).not_acted_on(), [""; 0]);
        }
        assert_eq!(Contract::raw("x").version(2).text("north"), "x");
    }
}
