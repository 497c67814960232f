//! `tieup database`: the hub's database is moved from a file to a server, or back.

use std::path::Path;
use std::str::FromStr;

use anyhow::{Context as _, bail};
use clap::Subcommand;
use tieup_web::say;

use super::with_environment;
use crate::config::{Config, DATABASE_VARIABLE};
use crate::database::{Database, Location, ServerUrl};
use crate::keys::KeyFolder;
use crate::lead::Lead;
use crate::partners::check_owner;

#[derive(Subcommand)]
pub(super) enum DatabaseAction {
    /// Move all that is in the database to another, empty one: to a PostgreSQL server, or back to the file in the state
    /// folder. The hub must be stopped. The database that it is moved from stays as it is.
    Move {
        /// Where to: an address such as `postgres://tieup@db.example/tieup`, or the word `file`.
        to: Target,
    },
}

/// Where a database is moved to.
#[derive(Clone, Debug)]
pub(super) enum Target {
    /// The file of the state folder.
    File,
    /// A server.
    Server(ServerUrl),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "file" {
            return Ok(Self::File);
        }
        text.parse().map(Self::Server).map_err(|error: crate::database::InvalidUrl| error.to_string())
    }
}

pub(super) async fn database(file: &Path, action: &DatabaseAction) -> anyhow::Result<()> {
    let DatabaseAction::Move { to } = action;
    let config = with_environment(Config::load(file)?)?;
    let to = match to {
        Target::File => Location::File(config.file_of_database()),
        Target::Server(url) => Location::Server(url.clone()),
    };
    move_to(&config, &to).await
}

async fn move_to(config: &Config, to: &Location) -> anyhow::Result<()> {
    if *to == config.database {
        bail!("the hub's database is {to} already");
    }
    if let Location::File(file) = &config.database
        && !file.exists()
    {
        bail!("there is no {}: make a hub with `tieup init`", config.database);
    }
    let Some(_lead) = Lead::take(config).await? else {
        bail!("a hub of `{}` is running: stop it, and move its database then", config.main)
    };
    let from = Database::open(&config.database).await?;
    check_owner(config, &from, &KeyFolder::new(&config.state, &config.main)).await?;
    let other = Database::open(to).await?;
    let moved = from.move_to(&other).await.with_context(|| format!("nothing was moved to {to}"))?;
    say!("Moved {} rows of {} tables from {} to {to}.", moved.rows, moved.tables, config.database);
    match to {
        Location::Server(_) => {
            say!(
                "Now write its address as `database:` into tieup.yaml, or into {DATABASE_VARIABLE}, and start the hub."
            );
        }
        Location::File(_) => {
            say!(
                "Now take `database:` out of tieup.yaml, and {DATABASE_VARIABLE} out of the environment, and start the hub."
            );
        }
    }
    say!("What it was moved from is as it was, and is not used any more: delete it once all is well.");
    Ok(())
}
