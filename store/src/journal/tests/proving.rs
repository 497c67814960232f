//! Proofs of one entry, as they are handed to somebody who has the keys alone.

use super::*;

/// A cosigned log of `size` entries.
fn cosigned(size: u64) -> (TempDir, JournalWriter) {
    let (dir, mut writer) = log(size);
    let note = writer.checkpoint().unwrap().cosign(&cosigner(), now()).unwrap();
    writer.keep_cosigned(&note, &cosigner().verifier()).unwrap();
    (dir, writer)
}

fn keys() -> ProofKeys {
    ProofKeys { log: key().verifier(), cosigner: Some(cosigner().verifier()) }
}

fn prove(writer: &JournalWriter, number: u64) -> Result<InclusionProof, ProveError> {
    InclusionProof::of(&writer.reader(), number, &origin(), &key().verifier())
}

#[test]
fn a_proof_convinces_whoever_has_the_keys_alone() {
    for size in [1, 2, 255, 256, 257, 700] {
        let (_dir, writer) = cosigned(size);
        for number in [0, size / 2, size - 1] {
            let text = prove(&writer, number).unwrap().to_string();
            let proof: InclusionProof = text.parse().unwrap();
            assert_eq!(proof.entry, entry(number));
            assert_eq!(proof.verify(&origin(), &keys()).unwrap(), Proven { size, cosigned: Some(now()) });
            assert_eq!(proof.to_string(), text);
        }
    }
}

#[test]
fn only_what_is_cosigned_can_be_proven() {
    let (_dir, mut writer) = cosigned(300);
    append(&mut writer, 300..310);
    writer.checkpoint().unwrap();
    assert!(matches!(prove(&writer, 300), Err(ProveError::NotCovered { number: 300, size: 300 })));
    let (_other, writer) = log(3);
    assert!(matches!(prove(&writer, 0), Err(ProveError::NotCosigned)));
}

#[test]
fn a_proof_that_was_altered_convinces_nobody() {
    let (_dir, writer) = cosigned(300);
    let good = prove(&writer, 7).unwrap();
    let alter: [&dyn Fn(&mut InclusionProof); 6] = [
        &|proof| proof.entry[0] ^= 1,
        &|proof| proof.number += 1,
        &|proof| proof.number = 300,
        &|proof| proof.hashes[3].0[0] ^= 1,
        &|proof| proof.hashes.truncate(1),
        &|proof| proof.hashes.swap(0, 1),
    ];
    for (number, alter) in alter.into_iter().enumerate() {
        let mut bad = good.clone();
        alter(&mut bad);
        let refused = bad.verify(&origin(), &keys());
        assert!(matches!(refused, Err(ProofError::NotIncluded { .. })), "{number}: {refused:?}");
    }
    let stranger = Cosigner::from_seed("nationwide", &[3; 32]).unwrap().verifier();
    let strange = ProofKeys { cosigner: Some(stranger), ..keys() };
    assert!(matches!(good.verify(&origin(), &strange), Err(ProofError::Checkpoint(_))));
    let other = Origin::new(&"nationwide".parse().unwrap(), &"another".parse().unwrap(), "2026-11".parse().unwrap());
    assert!(matches!(good.verify(&other, &keys()), Err(ProofError::Checkpoint(CheckpointError::Origin { .. }))));
}

#[test]
fn other_texts_are_no_proofs() {
    let (_dir, writer) = cosigned(300);
    let good = prove(&writer, 7).unwrap().to_string();
    for (from, to) in
        [("@v1", "@v2"), ("extra ", "extra"), ("index 7", "index 07"), ("index 7", "index -7"), ("\n\n", "\nx\n\n")]
    {
        assert!(good.contains(from));
        assert!(good.replacen(from, to, 1).parse::<InclusionProof>().is_err(), "{from} {to}");
    }
    for bad in ["", "\n\n", "c2sp.org/tlog-proof@v1\n\n", &"x\n".repeat(1 << 20)] {
        assert!(bad.parse::<InclusionProof>().is_err(), "{bad:.40}");
    }
}
