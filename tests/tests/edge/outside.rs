//! The public server under tools of others: `tests/outside/serving/`, which have nothing of ours. What they said, and
//! what is left as it is, stands in `docs/conformance.md`.

use std::process::Command;

use tieup_protocol::digest::Digest;
use tieup_tests::child::{Process, Program};
use tieup_tests::secure::Secure;
use tieup_tests::{Contract, World, assert_says, python};

use crate::{certify, free_port, trusting};

/// A file of more than this is read while it is sent.
const LARGE: usize = 8 << 20;

/// A shop by HTTPS, served by a process of its own.
struct Shop {
    world: World,
    process: Process,
    port: u16,
    /// The address of the style sheet under a name made of its content.
    named: String,
    python: String,
}

impl Shop {
    /// One with a page, a style sheet, a large file, and a page that was withdrawn; none where the tools cannot be had.
    async fn open() -> Option<Self> {
        let python = tokio::task::block_in_place(|| python::with(python::SERVING, env!("CARGO_TARGET_TMPDIR")))?;
        let words = "We mend lamps, and the same words stand here again and again. ".repeat(30);
        let plan = World::new().main_page("/about/", &words).main_page("/old/", "We mended candles.");
        let mut world = plan.contract("north", Contract::inherited()).start().await;
        let noise: String = (0..LARGE).map(|_| fastrand::alphanumeric()).collect();
        world.write_main("static/noise.txt", &noise);
        world.go_live("north").await;
        std::fs::remove_file(world.hub().config.site.join("content/old.md")).unwrap();
        world.go_live("north").await;
        let (port, pem) = (free_port(), certify(world.folder(), "shop.example"));
        let folder = world.folder().display();
        let lines = format!(
            "https: {{listen: '127.0.0.1:{port}', certificate: '{folder}/fullchain.pem', key: '{folder}/privkey.pem'}}\n"
        );
        let halted = world.halt("north").await;
        let config = std::fs::read_to_string(&halted.config_file).unwrap();
        std::fs::write(&halted.config_file, config + &lines).unwrap();
        let program = Program::new(env!("CARGO_BIN_EXE_syncd-to-kill"), &halted);
        let process = tokio::task::block_in_place(|| program.start());
        let browser = trusting(&pem, &[b"http/1.1"]);
        let mut browser = Secure::connect(&browser, "shop.example", ([127, 0, 0, 1], port).into()).await.unwrap();
        let (status, style) = browser.get("/style.css").await.unwrap();
        assert_eq!(status, 200);
        let named = format!("/style.{}.css", &Digest::of(style.as_bytes()).hex()[..10]);
        Some(Self { world, process, port, named, python })
    }

    /// Runs a script, and fails unless it ends well and says `words`.
    fn check(&self, script: &str, arguments: &[&str], words: &str) {
        let mut command = Command::new(&self.python);
        command.arg(python::outside("serving").join(script)).args(arguments);
        let ran = tokio::task::block_in_place(|| command.output().unwrap());
        let said = String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned();
        println!("{said}");
        assert!(ran.status.success(), "{script}:\n{said}");
        assert_says(&said, &[words]);
    }

    async fn close(self) {
        drop(self.process);
        self.world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_58_a_checker_of_others_finds_every_answer_in_order() {
    let Some(shop) = Shop::open().await else { return };
    let origin = format!("https://127.0.0.1:{}", shop.port);
    let paths = [&origin, "/about/", "/style.css", &shop.named, "/noise.txt", "/old/"];
    shop.check("lint.py", &paths, "in order: 26 answers");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_58_a_scanner_of_others_finds_the_encryption_in_order() {
    let Some(shop) = Shop::open().await else { return };
    shop.check("tls.py", &["127.0.0.1", &shop.port.to_string(), "shop.example"], "in order");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_58_hostile_frames_hold_up_nobody_and_take_no_memory() {
    let Some(shop) = Shop::open().await else { return };
    let (address, process) = (format!("127.0.0.1:{}", shop.port), shop.process.id().to_string());
    shop.check("frames.py", &[&address, &process, "/about/", "/noise.txt"], "withstood");
    shop.close().await;
}
