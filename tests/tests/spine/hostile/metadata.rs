//! Every attack on a release's metadata that is laid down below `tests/fixtures/hostile/`.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use tieup_protocol::yaml;
use tieup_tests::forge::{Forge, Recipe};
use tieup_tests::{Kept, World, assert_says, parcel, told};

use crate::settled;

/// Fewer cases than this, and some were lost.
const CASES: usize = 50;

/// One attack.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    attack: String,
    refused: String,
    #[serde(default)]
    says: Vec<String>,
    offer: Recipe,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_attack_on_metadata_is_refused_and_changes_nothing() {
    let world = settled().await;
    let client = world.call("north").await;
    parcel::offer(&client, &world.offer("north", 3).await).await.unwrap();
    let forge = Forge::new(&world);
    let mut wrong = Vec::new();
    let cases = cases();
    for (name, case) in &cases {
        println!("{name}");
        if let Err(mistake) = attempt(&world, &forge, case).await {
            wrong.push(format!("{name} ({}): {mistake}", case.attack));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(cases.len() >= CASES, "there are {} cases", cases.len());
    let genuine = forge.offer(&world, &Recipe::default()).await;
    parcel::offer(&client, &genuine).await.expect("the offer that every case bends is taken as it is");
}

/// Makes the offer of one case, and says what is wrong with how it was answered.
async fn attempt(world: &World, forge: &Forge, case: &Case) -> Result<(), String> {
    let offer = forge.offer(world, &case.offer).await;
    let before = world.face("north").await;
    let client = world.call("north").await;
    let (answer, kept) = match parcel::announce(&client, &offer.offer).await {
        Err(error) => (Err(error), Kept::All),
        // What is signed was taken: it is the manifest that is not the signed one.
        Ok(_) => (parcel::send_steps(&client, &parcel::steps(None, &offer.manifest)).await, Kept::AllButTrust),
    };
    let error = answer.err().ok_or("it was taken")?;
    world.assert_unchanged("north", &before, kept).await;
    let kind = error.problem().map(|problem| problem.kind.clone()).unwrap_or_default();
    if kind != format!("tieup:{}", case.refused) {
        return Err(format!("refused as {kind}, not as {}: {}", case.refused, told(&error)));
    }
    let says: Vec<&str> = case.says.iter().map(String::as_str).collect();
    assert_says(&told(&error), &says);
    Ok(())
}

fn cases() -> Vec<(String, Case)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/hostile");
    let folders = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let mut cases: Vec<_> = folders.filter_map(|path| read(&path)).collect();
    cases.sort_by(|(a, _), (b, _)| a.cmp(b));
    cases
}

/// The case in a folder, if it is one of an offer.
fn read(folder: &Path) -> Option<(String, Case)> {
    let file = folder.join("case.yaml");
    let text = fs::read_to_string(&file).ok().filter(|text| text.contains("\noffer:\n"))?;
    let case = yaml::parse(&file.display().to_string(), &text).unwrap_or_else(|error| panic!("{error}"));
    Some((folder.file_name()?.to_string_lossy().into_owned(), case))
}
