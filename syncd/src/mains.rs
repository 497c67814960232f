//! Which of the partner's main sites is meant: by an invitation, or by a command.

use std::collections::BTreeSet;
use std::fmt;

use tieup_protocol::ids::SiteId;

use crate::config::Config;
use crate::identity::{Identity, LoadError};

/// The main sites of a partner: the one that it joined first, and those under `mains` in `syncd.yaml`.
pub struct Mains<'a> {
    config: &'a Config,
    home: Option<SiteId>,
}

/// There is no place for an invitation's main site.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this partner has joined `{home}`, and syncd.yaml has no place for `{main}`: add these lines, with a port that is \
     free, then join again\n\n\
     mains:\n  {main}: {{peer: 0.0.0.0:7453, address: shop.example:7453}}   # or: {{dial: main}}\n"
)]
pub struct NoPlace {
    /// The main site it joined first.
    pub home: SiteId,
    /// The one that invites it.
    pub main: SiteId,
}

/// It is not clear which main site a command is about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unclear {
    /// None was named, and there are several.
    #[error("you have a tie-up with each of {0}: say which one you mean, such as --main {first}", first = .0.first())]
    Several(Names),
    /// The named one is not among them.
    #[error("you have no tie-up with `{0}`: there is {1}")]
    Unknown(SiteId, Names),
}

/// Names of main sites, the home one first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names(Vec<SiteId>);

impl Names {
    fn first(&self) -> &str {
        self.0.first().map_or("ID", SiteId::as_str)
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, name) in self.0.iter().enumerate() {
            let separator = if number == 0 { "" } else { ", " };
            write!(f, "{separator}`{name}`")?;
        }
        Ok(())
    }
}

impl<'a> Mains<'a> {
    /// The main sites of the partner that `config` describes.
    ///
    /// # Errors
    /// When it cannot be read which one it joined first.
    pub fn of(config: &'a Config) -> Result<Self, LoadError> {
        let home = match Identity::load(&config.state) {
            Ok(identity) => Some(identity.main),
            Err(LoadError::NotJoined) => None,
            Err(error) => return Err(error),
        };
        Ok(Self { config, home })
    }

    /// Where the partner joins `main`: in the folder in which it has joined it before, in the section that bears its
    /// name, or else as its first main site.
    ///
    /// # Errors
    /// When it has another first main site, and no section for this one.
    pub fn seat(&self, main: &SiteId) -> Result<&'a Config, NoPlace> {
        match (&self.home, self.config.mains.get(main)) {
            (Some(home), _) if home == main => Ok(self.config),
            (_, Some(section)) => Ok(section),
            (None, None) => Ok(self.config),
            (Some(home), None) => Err(NoPlace { home: home.clone(), main: main.clone() }),
        }
    }

    /// The configuration of the tie-up that a command is about, which may name its main site.
    ///
    /// # Errors
    /// When it names none and there are several, or one that is not among them.
    pub fn meant(&self, main: Option<&SiteId>) -> Result<&'a Config, Unclear> {
        match main {
            None if self.config.mains.is_empty() => Ok(self.config),
            None => Err(Unclear::Several(self.names())),
            Some(main) if self.home.as_ref() == Some(main) => Ok(self.config),
            Some(main) => {
                let section = self.config.mains.get(main);
                section.ok_or_else(|| Unclear::Unknown(main.clone(), self.names()))
            }
        }
    }

    /// Every tie-up with its configuration, the home one first. The home one has no name before it has been joined.
    pub fn all(&self) -> impl Iterator<Item = (Option<&SiteId>, &'a Config)> {
        let further = self.config.mains.iter().map(|(main, config)| (Some(main), config));
        std::iter::once((self.home.as_ref(), self.config)).chain(further)
    }

    fn names(&self) -> Names {
        let further: BTreeSet<SiteId> = self.config.mains.keys().cloned().collect();
        Names(self.home.iter().cloned().chain(further).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A configuration with a section for each of `sections`.
    fn config(sections: &[&str]) -> Config {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("syncd.yaml");
        let sections: Vec<String> = sections.iter().map(|main| format!("{main}: {{dial: main}}")).collect();
        let mains = format!("mains: {{{}}}", sections.join(", "));
        std::fs::write(&file, format!("state: s\npublic: a:1\ndial: main\n{mains}\n")).unwrap();
        Config::load(&file).unwrap()
    }

    fn id(name: &str) -> SiteId {
        name.parse().unwrap()
    }

    #[test]
    fn row_003_05_an_invitation_finds_its_place_by_the_main_sites_name() {
        let config = config(&["southern"]);
        let (fresh, joined) =
            (Mains { config: &config, home: None }, Mains { config: &config, home: Some(id("nationwide")) });
        assert_eq!(fresh.seat(&id("nationwide")).unwrap().state, config.state);
        assert_eq!(joined.seat(&id("nationwide")).unwrap().state, config.state);
        for mains in [&fresh, &joined] {
            assert_eq!(mains.seat(&id("southern")).unwrap().state, config.state.join("mains/southern"));
        }
        let refused = joined.seat(&id("western")).unwrap_err().to_string();
        assert!(refused.starts_with("this partner has joined `nationwide`, and syncd.yaml has no place for `western`"));
        assert!(refused.contains("\nmains:\n  western: {peer: "), "{refused}");
    }

    #[test]
    fn a_command_names_its_main_site_where_there_are_several() {
        let (alone, two) = (config(&[]), config(&["southern"]));
        let home = Some(id("nationwide"));
        let (alone, two) = (Mains { config: &alone, home: home.clone() }, Mains { config: &two, home });
        assert!(alone.meant(None).is_ok() && alone.meant(Some(&id("nationwide"))).is_ok());
        assert_eq!(two.meant(Some(&id("southern"))).unwrap().state, two.config.state.join("mains/southern"));
        assert_eq!(two.meant(Some(&id("nationwide"))).unwrap().state, two.config.state);
        assert_eq!(
            two.meant(None).unwrap_err().to_string(),
            "you have a tie-up with each of `nationwide`, `southern`: say which one you mean, such as --main nationwide"
        );
        let unknown = alone.meant(Some(&id("southern"))).unwrap_err().to_string();
        assert_eq!(unknown, "you have no tie-up with `southern`: there is `nationwide`");
    }
}
