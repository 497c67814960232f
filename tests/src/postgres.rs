//! A private PostgreSQL for tests: one server for each test binary that asks, and a database for each test.
//!
//! The server is Debian's. It runs as a user without rights in a folder of its own, listens at a socket there and at no
//! port, and ends with the test's process, however that ends: it is stopped, by its number, by a shell that reads from
//! this process until there is nothing more to read.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Where Debian keeps the versions of PostgreSQL.
const INSTALLED: &str = "/usr/lib/postgresql";

/// Runs `$1` with the arguments `$2` and `$3`; as root in the name of the user that Debian's package makes, since the server
/// refuses to run as root.
const UNPRIVILEGED: &str = r#"cd /
if [ "$(id -u)" = 0 ]; then
    exec setpriv --reuid=postgres --regid=postgres --clear-groups sh -c "$1" sh "$2" "$3"
fi
exec sh -c "$1" sh "$2" "$3""#;

/// Makes a server with the programs in `$1`, says its folder, and stops it when the input ends. It is made for a
/// language in which texts are not in the order of their bytes, and keeps little of its log for recovery; `guarded` is a
/// user who needs a password. With a port in `$2` it listens there as well, to those who speak TLS, with a certificate
/// for `localhost` that nobody vouches for.
const SERVE: &str = r#"set -eu
umask 077
trap : INT TERM HUP
folder=$(mktemp -d /tmp/tieup-postgres-XXXXXX)
trap 'rm -rf "$folder"' EXIT
fail() { cat "$folder/log" >&2; exit 1; }
"$1/initdb" -D "$folder/data" -U tieup --auth=trust --no-sync --encoding=UTF8 --locale=C.UTF-8 \
    --locale-provider=icu --icu-locale=en-US-u-ka-shifted >"$folder/log" 2>&1 || fail
rules="$folder/data/pg_hba.conf"
{ echo "local all guarded scram-sha-256"; echo "hostnossl all all all reject"; cat "$rules"; } >"$rules.new"
mv "$rules.new" "$rules"
programs=$1 port=$2
set -- -c listen_addresses=
if [ -n "$port" ]; then
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
        -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE \
        -keyout "$folder/key.pem" -out "$folder/certificate.pem" >>"$folder/log" 2>&1 || fail
    set -- -c listen_addresses=127.0.0.1 -c ssl=on -c ssl_key_file="$folder/key.pem" \
        -c ssl_cert_file="$folder/certificate.pem"
fi
set -- -c fsync=off -c max_connections=400 -c wal_level=minimal -c max_wal_senders=0 -c max_wal_size=64MB "$@"
"$programs/postgres" -D "$folder/data" -k "$folder" -p "${port:-5432}" "$@" >>"$folder/log" 2>&1 &
server=$!
until "$programs/pg_isready" -q -h "$folder" -p "${port:-5432}"; do
    kill -0 "$server" 2>/dev/null || fail
    sleep 0.05
done
echo "$folder"
cat >/dev/null || true
kill -INT "$server" 2>/dev/null || cat "$folder/log" >&2
wait "$server" || true"#;

/// The server of this process.
static SERVER: LazyLock<Server> = LazyLock::new(|| Server::start(""));

/// A server that runs.
struct Server {
    programs: PathBuf,
    folder: String,
    /// The shell that stops the server once this process is gone, and with it the other end of the shell's input.
    _keeper: Child,
}

/// The address of a new, empty database. Nobody needs a password.
///
/// # Panics
/// When PostgreSQL is not installed, or does not run.
pub fn new_database() -> String {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let name = format!("hub_{}", MADE.fetch_add(1, Ordering::Relaxed));
    SERVER.run("createdb", &[&name]);
    format!("postgres:///{name}?host={}&user=tieup", SERVER.folder)
}

/// A server of its own that listens at a port to those who speak TLS: the address of a database there, and the file with
/// the certificate for `localhost` that it shows. Whoever asked first has it; it is there until this process ends.
///
/// # Panics
/// When PostgreSQL is not installed, or does not run.
pub fn encrypted() -> (String, PathBuf) {
    static ENCRYPTED: LazyLock<(Server, u16)> = LazyLock::new(|| {
        let free = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
        let port = free.unwrap_or_else(|error| panic!("no port is free: {error}")).port();
        (Server::start(&port.to_string()), port)
    });
    let (server, port) = &*ENCRYPTED;
    (format!("postgres://tieup@localhost:{port}/postgres"), Path::new(&server.folder).join("certificate.pem"))
}

/// Runs `sql` at the database with this address.
///
/// # Panics
/// When it fails.
pub fn run_sql(address: &str, sql: &str) -> String {
    SERVER.run("psql", &["--no-psqlrc", "--tuples-only", "--no-align", "--command", sql, address])
}

impl Server {
    fn start(port: &str) -> Self {
        let programs = programs();
        let mut keeper = Command::new("sh");
        keeper.args(["-c", UNPRIVILEGED, "sh", SERVE]).arg(&programs).arg(port);
        keeper.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut keeper = keeper.spawn().unwrap_or_else(|error| panic!("no shell runs: {error}"));
        let mut folder = String::new();
        if let Some(output) = &mut keeper.stdout {
            BufReader::new(output).read_line(&mut folder).unwrap_or_else(|error| panic!("PostgreSQL: {error}"));
        }
        assert!(!folder.is_empty(), "PostgreSQL does not run; what it said stands above");
        Self { programs, folder: folder.trim_end().to_owned(), _keeper: keeper }
    }

    /// Runs one of PostgreSQL's programs with this server, and returns what it says.
    fn run(&self, program: &str, arguments: &[&str]) -> String {
        let mut command = Command::new(self.programs.join(program));
        command.env("PGHOST", &self.folder).env("PGUSER", "tieup").args(arguments);
        let output = command.output().unwrap_or_else(|error| panic!("{program} does not run: {error}"));
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

/// The folder with the programs of the newest PostgreSQL.
fn programs() -> PathBuf {
    let number = |folder: &Path| folder.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
    let versions = fs::read_dir(INSTALLED).into_iter().flatten().flatten().map(|entry| entry.path());
    let newest = versions.filter(|folder| folder.join("bin/initdb").is_file()).max_by_key(|folder| number(folder));
    newest.unwrap_or_else(|| panic!("PostgreSQL is not installed: apt-get install postgresql")).join("bin")
}
