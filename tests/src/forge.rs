//! Metadata made by hand and signed by any key: what a thief of some of main's keys could send.
//!
//! A [`Recipe`] begins with a genuine offer and bends it. What is signed anew is signed over its canonical form, which is
//! written here and not by the code under test.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tieup_hub::trust::{SigningKey, id_text};
use tieup_protocol::wire::Offer;

use crate::parcel::Parcel;
use crate::world::World;

/// How an offer is bent.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Recipe {
    /// The number of the genuine release it begins as; 4 if left out.
    pub release: Option<u64>,
    /// The roots that come with it, each made of the one before.
    pub roots: Vec<Bent>,
    /// How many times the last root comes once more.
    pub repeat_root: usize,
    /// What is done to the targets.
    pub targets: Bent,
    /// What is done to the snapshot.
    pub snapshot: Bent,
    /// What is done to the timestamp. Before, it is made to name the snapshot as it was bent.
    pub timestamp: Bent,
    /// What replaces the contract's text.
    pub contract: Option<String>,
}

/// What is done to one document.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bent {
    /// The document of another genuine release to take instead.
    pub of_release: Option<u64>,
    /// The document of another role to take instead.
    pub of_role: Option<String>,
    /// Values to put in, by JSON pointer.
    pub set: BTreeMap<String, Value>,
    /// JSON pointers of what to take out.
    pub remove: Vec<String>,
    /// Keys and thresholds to give to roles of a root.
    pub roles: BTreeMap<String, Keys>,
    /// Who signs it; the keys that should, if it was changed and nobody is named.
    pub sign: Option<Vec<String>>,
    /// How many blanks to add at its end.
    pub pad: usize,
}

/// The keys of a role.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    keys: Vec<String>,
    threshold: u64,
}

/// Main's own keys, and some of nobody's.
pub struct Forge(BTreeMap<String, SigningKey>);

impl Forge {
    /// The keys `root`, `release` and `freshness` of the world's main site, and `thief` and `second`.
    pub fn new(world: &World) -> Self {
        let main = world.hub().keys.dir().to_owned();
        let own = ["root", "release", "freshness"].map(|name| (name, key_in(&main.join(format!("{name}.key")))));
        let others = ["thief", "second"].map(|name| (name, new_key(&world.folder().join(format!("{name}.key")))));
        Self(own.into_iter().chain(others).map(|(name, key)| (name.to_owned(), key)).collect())
    }

    /// The key of this name.
    pub fn key(&self, name: &str) -> &SigningKey {
        self.0.get(name).unwrap_or_else(|| panic!("there is no key `{name}`"))
    }

    /// The offer to `north` that the recipe makes.
    pub async fn offer(&self, world: &World, recipe: &Recipe) -> Parcel {
        let number = recipe.release.unwrap_or(4);
        let Parcel { offer: genuine, manifest } = world.offer("north", number).await;
        let document = async |bent: &Bent, own: &str, usual: &str| {
            let offer = match bent.of_release {
                Some(number) => world.offer("north", number).await.offer,
                None => genuine.clone(),
            };
            let text = match bent.of_role.as_deref().unwrap_or(own) {
                "targets" => offer.targets,
                "snapshot" => offer.snapshot,
                _ => offer.timestamp,
            };
            self.bend(text, bent, &[usual])
        };
        let targets = document(&recipe.targets, "targets", "release").await;
        let snapshot = document(&recipe.snapshot, "snapshot", "release").await;
        let timestamp = self.timestamp(&genuine, &snapshot, &recipe.timestamp);
        let contract = recipe.contract.clone().unwrap_or(genuine.contract);
        let offer = Offer { roots: self.roots(world, recipe), timestamp, snapshot, targets, contract };
        Parcel { offer, manifest }
    }

    fn roots(&self, world: &World, recipe: &Recipe) -> Vec<String> {
        let mut roots: Vec<String> = Vec::new();
        let mut before = world.hub().keys.root().unwrap_or_else(|error| panic!("main's root: {error}"));
        for bent in &recipe.roots {
            let mut root = parse(&before);
            let next = root["signed"]["version"].as_u64().unwrap_or(0) + 1;
            root["signed"]["version"] = json!(next);
            for (role, keys) in &bent.roles {
                self.assign(&mut root, role, keys);
            }
            let bent = Bent { sign: bent.sign.clone().or(Some(vec!["root".to_owned()])), ..bent.clone() };
            before = self.bend(root.to_string(), &bent, &[]);
            roots.push(before.clone());
        }
        roots.extend(std::iter::repeat_n(before, recipe.repeat_root));
        roots
    }

    fn assign(&self, root: &mut Value, role: &str, keys: &Keys) {
        let types: &[&str] = match role {
            "release" => &["targets", "snapshot"],
            "freshness" => &["timestamp"],
            _ => &["root"],
        };
        for name in &keys.keys {
            let key = self.key(name);
            root["signed"]["keys"][id_text(&key.public().id())] =
                json!({"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": key.public().to_string()}});
        }
        let ids: Vec<String> = keys.keys.iter().map(|name| id_text(&self.key(name).public().id())).collect();
        for kind in types {
            root["signed"]["roles"][*kind] = json!({"keyids": ids, "threshold": keys.threshold});
        }
    }

    fn timestamp(&self, genuine: &Offer, snapshot: &str, bent: &Bent) -> String {
        let mut timestamp = parse(&genuine.timestamp);
        let named = &mut timestamp["signed"]["meta"]["snapshot.json"];
        named["length"] = json!(snapshot.len());
        named["hashes"]["sha256"] = json!(hex(&Sha256::digest(snapshot)));
        named["version"] = parse(snapshot)["signed"]["version"].clone();
        let sign = bent.sign.clone().or(Some(vec!["freshness".to_owned()]));
        self.bend(timestamp.to_string(), &Bent { sign, ..bent.clone() }, &[])
    }

    fn bend(&self, text: String, bent: &Bent, usual: &[&str]) -> String {
        let touched = !bent.set.is_empty() || !bent.remove.is_empty();
        if !touched && bent.sign.is_none() {
            return text + &" ".repeat(bent.pad);
        }
        let mut document = parse(&text);
        for (pointer, value) in &bent.set {
            put(&mut document, pointer, value.clone());
        }
        for pointer in &bent.remove {
            let (parent, name) = pointer.rsplit_once('/').unwrap_or_else(|| panic!("{pointer} is no pointer"));
            document.pointer_mut(parent).and_then(Value::as_object_mut).and_then(|object| object.remove(name));
        }
        let usual = || usual.iter().map(|name| (*name).to_owned()).collect();
        let names: Vec<String> = bent.sign.clone().unwrap_or_else(usual);
        self.sign(&mut document, &names);
        document.to_string() + &" ".repeat(bent.pad)
    }

    /// Replaces the signatures of `document` by those of the keys with these names.
    fn sign(&self, document: &mut Value, names: &[String]) {
        let message = canonical(&document["signed"]);
        let signature = |name: &String| {
            let key = self.key(name);
            json!({"keyid": id_text(&key.public().id()), "sig": hex(&key.sign(message.as_bytes()).sig)})
        };
        document["signatures"] = names.iter().map(signature).collect();
    }
}

fn key_in(file: &Path) -> SigningKey {
    SigningKey::read(file).unwrap_or_else(|error| panic!("{error}"))
}

fn new_key(file: &Path) -> SigningKey {
    SigningKey::create(file).unwrap_or_else(|error| panic!("{error}"))
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn put(document: &mut Value, pointer: &str, value: Value) {
    let (parent, name) = pointer.rsplit_once('/').unwrap_or_else(|| panic!("{pointer} is no pointer"));
    let object = document.pointer_mut(parent).unwrap_or_else(|| panic!("{parent} is not in the document"));
    object[name] = value;
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// OLPC canonical JSON: keys in order, no blanks, only `"` and `\` escaped.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let sorted: BTreeMap<&String, &Value> = members.iter().collect();
            let members = sorted.into_iter().map(|(name, value)| format!("{}:{}", quoted(name), canonical(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        Value::String(text) => quoted(text),
        other => other.to_string(),
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
