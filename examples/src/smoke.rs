//! The whole loop unattended: every step is done for real and checked, and a table says how it went.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use jiff::Timestamp;
use tieup_hub::publish::{Outcome, PublishError, Rejected};
use tieup_protocol::approval::{DecidedBy, ReleaseRecord, ReleaseState};
use tieup_protocol::ids::SiteId;
use tieup_protocol::period::Month;
use tieup_protocol::wire::StatementVerdict;
use tieup_store::journal::{CosignerVerifier, verify_cosignature};
use tieup_web::terminal::{Unheard, try_say};

use crate::deployment::{Deployment, RunningPartner};
use crate::visitor::{BROWSER, ROBOT, Visitor};

/// A product that both the catalogue and the checks know.
const PRODUCT: &str = "/products/";

/// A tie-up page that the checks edit.
const EDITED_PAGE: &str = "/company/repair/";

/// The loop's steps, in order.
const STEPS: usize = 10;

/// Where the example's sites and themes are.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The folder with a folder for each site.
    pub sites: PathBuf,
    /// The folder with the themes.
    pub themes: PathBuf,
}

impl Sources {
    /// The sites and themes of this repository.
    pub fn of_repository() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        Self { sites: root.join("sites"), themes: root.join("themes") }
    }

    /// The folder of one site.
    pub fn site(&self, id: &SiteId) -> PathBuf {
        self.sites.join(id.as_str())
    }
}

/// The names of the example's parties.
#[derive(Clone, Debug)]
pub struct Cast {
    /// The main site.
    pub main: SiteId,
    /// The shop that takes over layout and pages, and whose operator is asked about everything.
    pub shop: SiteId,
    /// The region that takes over the layout alone, with a rule for changes of text.
    pub region: SiteId,
}

impl Cast {
    /// Nationwide, Harbor Shop and Sapporo.
    ///
    /// # Errors
    /// Never: the names are valid.
    pub fn new() -> Result<Self> {
        Ok(Self { main: "nationwide".parse()?, shop: "harbor-shop".parse()?, region: "sapporo".parse()? })
    }
}

struct Row {
    step: &'static str,
    time: Duration,
    result: Result<String>,
}

/// Runs every step in `root` and prints the table. Whether every check held.
///
/// # Errors
/// Only if the steps could not be begun.
pub async fn run(root: &Path) -> Result<bool> {
    let mut rows = Vec::with_capacity(STEPS);
    let start = Instant::now();
    let result = Loop::start(root).await;
    let step = "keys, authority and two joins by one-time token";
    match result {
        Err(error) => rows.push(Row { step, time: start.elapsed(), result: Err(error) }),
        Ok((mut course, told)) => {
            rows.push(Row { step, time: start.elapsed(), result: Ok(told) });
            course.go(&mut rows).await;
            course.deployment.stop().await;
        }
    }
    print(&rows)?;
    Ok(rows.len() == STEPS && rows.iter().all(|row| row.result.is_ok()))
}

fn print(rows: &[Row]) -> Result<(), Unheard> {
    let mut table = format!("\n{:<52} {:>9}  result\n", "step", "time");
    for Row { step, time, result } in rows {
        let time = format!("{:.0} ms", time.as_secs_f64() * 1_000.0);
        let told = match result {
            Ok(told) => format!("ok: {told}"),
            Err(error) => format!("FAILED: {error:#}"),
        };
        let _ = writeln!(table, "{step:<52} {time:>9}  {told}");
    }
    let failed = rows.iter().filter(|row| row.result.is_err()).count();
    let _ = writeln!(table, "\nsmoke: {} passed, {} failed", rows.len() - failed, failed + STEPS - rows.len());
    try_say(&table)
}

/// The loop in progress.
struct Loop {
    deployment: Deployment,
    cast: Cast,
    browser: Visitor,
}

impl Loop {
    async fn start(root: &Path) -> Result<(Self, String)> {
        let (sources, cast) = (Sources::of_repository(), Cast::new()?);
        let mut deployment = Deployment::start(root, &cast.main, &sources.site(&cast.main), &sources.themes).await?;
        for partner in [&cast.shop, &cast.region] {
            let invitation = deployment.hub.invite(partner, Timestamp::now()).await?;
            deployment.join(&invitation, &sources.site(partner)).await?;
            let again =
                deployment.hub.database.look_up_invitation(partner, invitation.secret.fingerprint(), Timestamp::now());
            ensure!(again.await? == tieup_hub::database::Redeemed::Used, "the token of `{partner}` is still good");
            let shown = deployment.hub.partner(partner).await?.compare_code;
            ensure!(shown == deployment.partner(partner)?.compare_code, "the two ends show different codes");
        }
        let told = "codes match at both ends, tokens are used up".to_owned();
        Ok((Self { deployment, cast, browser: Visitor::new(BROWSER) }, told))
    }

    /// Takes the steps until one fails: what comes after it would only fail too.
    async fn go(&mut self, rows: &mut Vec<Row>) {
        macro_rules! step {
            ($name:literal, $method:ident) => {
                let start = Instant::now();
                let result = self.$method().await;
                let failed = result.is_err();
                rows.push(Row { step: $name, time: start.elapsed(), result });
                if failed {
                    return;
                }
            };
        }
        step!("build the main site and one release a partner", build);
        step!("push over mutual TLS; verified, staged, waiting", push);
        step!("approve; tie-up pages and originals are served", approve);
        step!("refuse an update; the public site stays", refuse);
        step!("approve the next one, then roll it back", roll_back);
        step!("a change of text goes live by rule", change_text);
        step!("a path claimed by both is refused", conflict);
        step!("visits are logged, fetched, verified, cosigned", visits);
        step!("statements are computed at both ends", statements);
    }

    async fn build(&mut self) -> Result<String> {
        let site = self.deployment.site()?;
        let index = site.build_main()?.index;
        let pages = index.len();
        let products = index.iter().filter(|page| !page.data.is_null()).count();
        ensure!(products >= 36, "only {products} products");
        self.deployment.show(&site)?;
        let home = self.browser.get(self.deployment.public, "/").await?;
        ensure!(home.status == 200, "the main site answers {}", home.status);
        let shop = site.build_release(&self.cast.shop)?.output.files.len();
        let region = site.build_release(&self.cast.region)?.output.files.len();
        Ok(format!("{pages} pages, {products} products; {shop} paths for the shop, {region} for the region"))
    }

    async fn push(&mut self) -> Result<String> {
        let mut told = Vec::new();
        for (partner, outcome) in self.publish().await? {
            let release = delivered(outcome?)?;
            ensure!(release.state == ReleaseState::Staged, "`{partner}` did not wait for its operator");
            let page = self.browser.get(self.deployment.partner(&partner)?.public, "/").await?;
            ensure!(page.status == 404, "`{partner}` serves a page that nobody has approved");
            told.push(format!("{partner} waits"));
        }
        ensure!(told.len() == 2, "{} partners were reached", told.len());
        Ok(told.join(", "))
    }

    async fn approve(&mut self) -> Result<String> {
        for partner in [&self.cast.shop, &self.cast.region] {
            approve_waiting(self.deployment.partner(partner)?)?;
        }
        let shop = self.deployment.partner(&self.cast.shop)?.public;
        for path in ["/", PRODUCT, EDITED_PAGE, "/local/", "/ja/", "/style.css", "/sitemap.xml"] {
            self.expect(shop, path, 200, "").await?;
        }
        // The shop's own address stands in main's page: a slot was filled.
        self.expect(shop, PRODUCT, 200, "Harbor Shop").await?;
        self.expect(shop, "/no/such/page/", 404, "").await?;
        let region = self.deployment.partner(&self.cast.region)?.public;
        for path in ["/", "/news/", "/guide/", "/products/", "/region.css"] {
            self.expect(region, path, 200, "").await?;
        }
        self.expect(region, "/company/", 404, "").await?;
        Ok("both partners serve tie-up pages or layout with their own".to_owned())
    }

    async fn refuse(&mut self) -> Result<String> {
        self.edit_page("Repairs are free on the thirty-first of February.")?;
        self.publish_to_shop().await?;
        let shop = self.deployment.partner(&self.cast.shop)?;
        let waiting = shop.daemon.partner().publisher().staged()?;
        let reason = "there is no such day";
        let (version, manifest) = (waiting.version, waiting.manifest);
        shop.daemon.partner().publisher().reject(version, manifest, reason.to_owned(), Timestamp::now())?;
        self.expect_without(shop.public, EDITED_PAGE, "thirty-first").await?;
        match self.publish_to(&self.cast.shop).await? {
            Outcome::RejectedBefore { reason: heard, .. } if heard == reason => {}
            other => bail!("main did not hear of the refusal: {other:?}"),
        }
        Ok(format!("{}; main heard \"{reason}\"", waiting.sentence))
    }

    async fn roll_back(&mut self) -> Result<String> {
        self.edit_page("Repairs are free on the last day of February.")?;
        let release = self.publish_to_shop().await?;
        let shop = self.deployment.partner(&self.cast.shop)?;
        approve_waiting(shop)?;
        self.expect(shop.public, EDITED_PAGE, 200, "last day of February").await?;
        let back = shop.daemon.partner().publisher().roll_back(None, Timestamp::now())?;
        self.expect_without(shop.public, EDITED_PAGE, "last day of February").await?;
        shop.daemon.partner().publisher().roll_back(Some(release.version), Timestamp::now())?;
        self.expect(shop.public, EDITED_PAGE, 200, "last day of February").await?;
        Ok(format!("release {} live, back to {}, and forward again", release.version, back.version))
    }

    async fn change_text(&mut self) -> Result<String> {
        let file = self.deployment.hub.config.themes.join("storefront/templates/base.html");
        let template = fs::read_to_string(&file)?;
        let edited = template.replacen("</footer>", "<p>Snow is cleared before seven.</p></footer>", 1);
        ensure!(edited != template, "the theme has no footer to edit");
        fs::write(&file, edited)?;
        let release = self.publish_to(&self.cast.region).await?;
        let release = delivered(release)?;
        ensure!(release.state == ReleaseState::Live, "the rule did not apply: {:?}", release.waits_for);
        ensure!(release.by == Some(DecidedBy::Rule), "decided by {:?}", release.by);
        let region = self.deployment.partner(&self.cast.region)?.public;
        self.expect(region, "/news/", 200, "Snow is cleared before seven.").await?;
        Ok(release.sentence)
    }

    async fn conflict(&mut self) -> Result<String> {
        let shop = self.deployment.partner(&self.cast.shop)?;
        let file = shop.config.site.join("content/company/repair.md");
        fs::create_dir_all(file.parent().context("a file in a folder")?)?;
        fs::write(&file, "---\ntitle: We repair it ourselves\n---\nBring it in.\n")?;
        let here = shop.daemon.partner().publisher().refresh_originals();
        ensure!(here.is_err(), "the partner merged a path that main owns");
        self.edit_page("Repairs take a week.")?;
        let refused = match self.publish_to(&self.cast.shop).await {
            Err(error) => format!("{error:#}"),
            Ok(outcome) => bail!("main's release was taken: {outcome:?}"),
        };
        for name in [self.cast.main.as_str(), self.cast.shop.as_str(), EDITED_PAGE] {
            ensure!(refused.contains(name), "`{name}` is not named: {refused}");
        }
        self.expect(shop.public, EDITED_PAGE, 200, "last day of February").await?;
        fs::remove_file(&file)?;
        shop.daemon.partner().publisher().refresh_originals()?;
        Ok("refused with both owners named; the public site stayed".to_owned())
    }

    async fn visits(&mut self) -> Result<String> {
        let robot = Visitor::new(ROBOT);
        let mut told = Vec::new();
        for (id, partner) in &self.deployment.partners {
            for path in ["/", "/products/", "/news/", "/local/", "/guide/", "/products/"] {
                self.browser.get(partner.public, path).await?;
                robot.get(partner.public, path).await?;
            }
            let row = self.deployment.hub.partner(id).await?;
            let collected = self.deployment.hub.collect(&row).await?;
            let entries: u64 = collected.iter().map(|month| month.size).sum();
            ensure!(entries >= 12, "only {entries} entries came back");
            for month in collected {
                let note = partner.daemon.partner().journal().reader(month.month)?.cosigned()?;
                let note = note.context("the partner holds no cosignature")?;
                let key: CosignerVerifier = partner.daemon.partner().identity().cosigner_key.parse()?;
                verify_cosignature(note.as_bytes(), &key)?;
            }
            told.push(format!("{id} {entries} entries"));
        }
        Ok(told.join(", "))
    }

    async fn statements(&mut self) -> Result<String> {
        let mut told = Vec::new();
        for (id, partner) in &self.deployment.partners {
            let row = self.deployment.hub.partner(id).await?;
            let month = current_month(partner)?;
            let delivered = self.deployment.hub.statement(&row, month, Timestamp::now()).await?;
            try_say(&format!("{}\n", delivered.notice.statement))?;
            ensure!(delivered.verdict == StatementVerdict::Identical, "{id}: {:?}", delivered.verdict);
            let own = partner.daemon.partner().verify_statement(month)?;
            let same = own.verdict == StatementVerdict::Identical && own.statement.text == delivered.notice.statement;
            ensure!(same, "{id} differs");
            told.push(format!("{id} {} identical", own.statement.total));
        }
        Ok(told.join(", "))
    }

    async fn publish(&self) -> Result<Vec<(SiteId, Result<Outcome, PublishError>)>> {
        Ok(self.deployment.hub.publish(&self.deployment.site()?, &[], Rejected::Skip).await?)
    }

    async fn publish_to(&self, partner: &SiteId) -> Result<Outcome> {
        let site = self.deployment.site()?;
        let outcomes = self.deployment.hub.publish(&site, std::slice::from_ref(partner), Rejected::Skip).await?;
        let (_, outcome) = outcomes.into_iter().next().context("nothing was published")?;
        Ok(outcome?)
    }

    async fn publish_to_shop(&self) -> Result<ReleaseRecord> {
        delivered(self.publish_to(&self.cast.shop).await?)
    }

    /// Replaces the last paragraph of a tie-up page.
    fn edit_page(&self, paragraph: &str) -> Result<()> {
        let file = self.deployment.hub.config.site.join("content/company/repair.md");
        let text = fs::read_to_string(&file)?;
        let kept = text.split("\n\nRepairs ").next().unwrap_or(&text).trim_end().to_owned();
        Ok(fs::write(&file, format!("{kept}\n\n{paragraph}\n"))?)
    }

    async fn expect(&self, site: std::net::SocketAddr, path: &str, status: u16, text: &str) -> Result<()> {
        let page = self.browser.get(site, path).await?;
        ensure!(page.status == status, "{path} answers {}, not {status}", page.status);
        ensure!(page.text.contains(text), "{path} does not say {text:?}");
        Ok(())
    }

    async fn expect_without(&self, site: std::net::SocketAddr, path: &str, text: &str) -> Result<()> {
        let page = self.browser.get(site, path).await?;
        ensure!(page.status == 200 && !page.text.contains(text), "{path} says {text:?}");
        Ok(())
    }
}

/// Approves the release that waits at a partner, as its operator would.
///
/// # Errors
/// When none waits or it no longer fits the originals.
pub fn approve_waiting(partner: &RunningPartner) -> Result<ReleaseRecord> {
    let mut publisher = partner.daemon.partner().publisher();
    let waiting = publisher.staged()?;
    Ok(publisher.approve(waiting.version, waiting.manifest, DecidedBy::Operator, Timestamp::now())?)
}

/// The month that a partner's journal is being written for.
///
/// # Errors
/// When nothing has been logged.
pub fn current_month(partner: &RunningPartner) -> Result<Month> {
    let months = partner.daemon.partner().journal().months()?;
    months.last().copied().context("nothing has been logged yet: visit a page first")
}

fn delivered(outcome: Outcome) -> Result<ReleaseRecord> {
    match outcome {
        Outcome::Delivered { release, .. } => Ok(release),
        other => bail!("nothing was delivered: {other:?}"),
    }
}
