-- The hub's tables. Times are seconds since 1970, UTC.
-- Whose database it is: that of the main site that used it first. It has one row.
CREATE TABLE IF NOT EXISTS belongs (
    only_row  INTEGER PRIMARY KEY,  -- always 1
    main      TEXT NOT NULL,
    authority TEXT NOT NULL         -- the digest of its certificate authority
);
CREATE TABLE IF NOT EXISTS invitations (
    fingerprint TEXT PRIMARY KEY,   -- BLAKE3 of the secret; the secret itself is not kept
    partner     TEXT NOT NULL,
    expires     INTEGER NOT NULL,
    used        INTEGER             -- when; none while it is good
);
CREATE TABLE IF NOT EXISTS partners (
    id           TEXT PRIMARY KEY,
    address      TEXT NOT NULL,
    journal_key  TEXT NOT NULL,
    compare_code TEXT NOT NULL,
    joined       INTEGER NOT NULL
);
-- The keys that partners signed their journals with before they joined again with others: copies from then bear those.
CREATE TABLE IF NOT EXISTS earlier_journal_keys (
    partner TEXT NOT NULL REFERENCES partners (id),
    key     TEXT NOT NULL,
    joined  INTEGER NOT NULL,       -- when the partner had joined with it
    PRIMARY KEY (partner, key)
);
CREATE TABLE IF NOT EXISTS releases (
    partner  TEXT NOT NULL REFERENCES partners (id),
    version  INTEGER NOT NULL,
    contract TEXT NOT NULL,
    state    TEXT NOT NULL,
    detail   TEXT NOT NULL,
    since    INTEGER NOT NULL,
    PRIMARY KEY (partner, version)
);
-- The manifests as they were signed, apart from the releases since they are large.
CREATE TABLE IF NOT EXISTS manifests (
    partner  TEXT NOT NULL,
    version  INTEGER NOT NULL,
    manifest TEXT NOT NULL,
    PRIMARY KEY (partner, version),
    FOREIGN KEY (partner, version) REFERENCES releases (partner, version)
);
-- A month of a statement is the month, or the first and last day of a part of it that has its own: 2026-11-01_2026-11-15.
CREATE TABLE IF NOT EXISTS statements (
    partner   TEXT NOT NULL REFERENCES partners (id),
    month     TEXT NOT NULL,
    statement TEXT NOT NULL,
    is_final  INTEGER NOT NULL,     -- 1: it is what is owed, and does not change
    verdict   TEXT,
    PRIMARY KEY (partner, month)
);
-- What was issued, and is never changed: a row is added once, and neither updated nor removed.
CREATE TABLE IF NOT EXISTS issued_statements (
    partner TEXT NOT NULL REFERENCES partners (id),
    month   TEXT NOT NULL,
    notice  TEXT NOT NULL,          -- as the partner is told it, with the signed note
    PRIMARY KEY (partner, month)
);
CREATE TABLE IF NOT EXISTS disputes (
    partner TEXT NOT NULL REFERENCES partners (id),
    month   TEXT NOT NULL,
    dispute TEXT NOT NULL,          -- JSON: what is claimed, since when, and main's answer
    PRIMARY KEY (partner, month)
);
-- Entries of a log that one side has proposed to leave out.
CREATE TABLE IF NOT EXISTS strikes (
    partner  TEXT NOT NULL REFERENCES partners (id),
    digest   TEXT NOT NULL,
    proposed INTEGER NOT NULL,
    strike   TEXT NOT NULL,         -- JSON: what is proposed, what was answered, and since when it takes effect
    PRIMARY KEY (partner, digest)
);
-- What was said of findings in partners' journals by somebody who had looked at them.
CREATE TABLE IF NOT EXISTS reviews (
    partner  TEXT NOT NULL REFERENCES partners (id),
    finding  TEXT NOT NULL,         -- the digest of its rule, hours and figures
    month    TEXT NOT NULL,
    reason   TEXT NOT NULL,
    reviewed INTEGER NOT NULL,
    PRIMARY KEY (partner, finding)
);
CREATE TABLE IF NOT EXISTS metadata (
    partner     TEXT PRIMARY KEY,
    freshness   INTEGER NOT NULL,   -- the version of the timestamp that was signed last
    version     INTEGER,            -- the newest release that was signed; none before the first
    root        INTEGER,            -- the version of the root that it was sent with last
    targets     TEXT,
    snapshot    TEXT,
    fresh_until INTEGER             -- until when the partner takes it for the newest; none where it was not told
);
-- Every certificate that the authority has issued and that may still be shown or renewed.
CREATE TABLE IF NOT EXISTS certificates (
    serial  TEXT PRIMARY KEY,       -- hexadecimal
    partner TEXT,                   -- none: it is main's own
    key     TEXT NOT NULL,          -- BLAKE3 of the certified public key
    expires INTEGER NOT NULL,
    revoked INTEGER                 -- when; none while it is good
);
CREATE INDEX IF NOT EXISTS certificates_of ON certificates (partner, expires);
-- The newest list of revoked certificates, as the authority signed it.
CREATE TABLE IF NOT EXISTS revocation_lists (
    number INTEGER PRIMARY KEY,
    pem    TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS revoked_partners (
    partner TEXT PRIMARY KEY REFERENCES partners (id),
    revoked INTEGER NOT NULL,
    reason  TEXT NOT NULL
);
-- Which list of revoked certificates each partner was told last.
CREATE TABLE IF NOT EXISTS told_revocations (
    partner TEXT PRIMARY KEY REFERENCES partners (id),
    number  INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS queue (  -- what is due to each partner; its times are milliseconds
    partner  TEXT PRIMARY KEY REFERENCES partners (id),
    covered  INTEGER,               -- what was prescribed or changed up to here has been tried
    came_to  TEXT,                  -- what the last try came to, in one word
    why      TEXT,
    tried    INTEGER,               -- when it ended
    since    INTEGER,               -- since when tries come to this
    failures INTEGER NOT NULL DEFAULT 0,
    retry    INTEGER,               -- when to try again after a failure
    coming   INTEGER,               -- when the next push is planned,
    cause    TEXT,                  -- and why
    changed  INTEGER,               -- since when the site holds something that waits for a prescribed time
    heard    INTEGER                -- when the partner answered last
);
-- Beacons of partners' tie-up pages, by hours and days of the clocks of the partner's contract, numbered from 1970.
CREATE TABLE IF NOT EXISTS beacon_hours (
    partner TEXT NOT NULL REFERENCES partners (id),
    hour    INTEGER NOT NULL,
    beacons INTEGER NOT NULL,
    PRIMARY KEY (partner, hour)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS beacon_pages (
    partner TEXT NOT NULL REFERENCES partners (id),
    day     INTEGER NOT NULL,
    page    TEXT NOT NULL,
    beacons INTEGER NOT NULL,
    PRIMARY KEY (partner, day, page)
) WITHOUT ROWID;
-- What partners' daemons told of what they have answered since they were started; its times are milliseconds.
CREATE TABLE IF NOT EXISTS heartbeats (
    partner  TEXT NOT NULL REFERENCES partners (id),
    came     INTEGER NOT NULL,      -- by main's clock
    started  INTEGER NOT NULL,      -- when the process began, by the partner's clock
    told     INTEGER NOT NULL,      -- when it was told, by the partner's clock
    tieup    INTEGER NOT NULL,
    original INTEGER NOT NULL,
    no_page  INTEGER NOT NULL,
    journals TEXT NOT NULL,         -- sizes by month, as JSON
    PRIMARY KEY (partner, came)
) WITHOUT ROWID;
-- The days of partners' journals that were counted or are to be, in the periods that they are charged by. A row that is to
-- be counted is locked by whoever counts it; results lie beside the journals.
CREATE TABLE IF NOT EXISTS counting (
    folder    TEXT NOT NULL,        -- the name of the state folder that journals and results lie in
    partner   TEXT NOT NULL REFERENCES partners (id),
    first_day TEXT NOT NULL,        -- of the period
    last_day  TEXT NOT NULL,
    entries   INTEGER NOT NULL,     -- how many entries of the journal are counted when this day is
    day       TEXT NOT NULL,
    begun     INTEGER,              -- from which entry on it was counted
    counter   TEXT,                 -- by whom
    counted   INTEGER,              -- when, in milliseconds; none while it is to be counted
    times     INTEGER NOT NULL DEFAULT 0,   -- how often it was counted
    PRIMARY KEY (folder, partner, first_day, last_day, entries)
);
-- Main's record of what fees go by besides visits. A row is added once, and neither updated nor removed.
CREATE TABLE IF NOT EXISTS recorded (
    partner TEXT NOT NULL REFERENCES partners (id),
    number  INTEGER NOT NULL,       -- from 0, without a gap
    subject TEXT,                   -- what it is about: a later entry about the same counts in place of it
    of_sale INTEGER NOT NULL,       -- 1: it is about a sale
    sold    INTEGER,                -- when
    entered INTEGER NOT NULL,
    entry   TEXT NOT NULL,          -- JSON
    PRIMARY KEY (partner, number)
);
CREATE INDEX IF NOT EXISTS recorded_subjects ON recorded (partner, subject, number);
CREATE INDEX IF NOT EXISTS recorded_times ON recorded (partner, sold);
