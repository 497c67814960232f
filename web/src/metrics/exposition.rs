//! What a service tells of itself in numbers, as Prometheus and others read it (the text of `OpenMetrics`).

use std::sync::atomic::AtomicU64;

use axum::http::StatusCode;
use jiff::Timestamp;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tieup_protocol::access::Method;

use super::traffic::{METHODS, Refused, Traffic};
use crate::https::{PublicTls, Standing};

/// The media type of what [`Exposition::text`] writes.
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// One status of each class that is told apart, with the word for the class.
const CLASSES: [(StatusCode, &str); 5] = [
    (StatusCode::CONTINUE, "1xx"),
    (StatusCode::OK, "2xx"),
    (StatusCode::PERMANENT_REDIRECT, "3xx"),
    (StatusCode::NOT_FOUND, "4xx"),
    (StatusCode::INTERNAL_SERVER_ERROR, "5xx"),
];

/// Names and values that tell numbers of one kind apart.
pub type Labels = Vec<(&'static str, String)>;

/// Numbers of one moment.
pub struct Exposition(Registry);

impl Default for Exposition {
    fn default() -> Self {
        Self(Registry::with_prefix("tieup"))
    }
}

impl Exposition {
    /// Adds what every service tells: the version of `program`, what its public server counts, and its certificate, where
    /// it has HTTPS.
    pub fn service(&mut self, program: &str, version: &str, traffic: &Traffic, tls: Option<&PublicTls>) {
        let help = format!("The version of {program} that runs");
        self.gauges("build_info", &help, [(vec![("version", version.to_owned())], 1.0)]);
        self.traffic(traffic);
        if let Some(tls) = tls {
            self.certificate(&tls.standing());
        }
    }

    /// Adds numbers of one kind that go up and down. Names have no prefix; `help` is a sentence without its full stop.
    pub fn gauges(&mut self, name: &str, help: &str, values: impl IntoIterator<Item = (Labels, f64)>) {
        let family = Family::<Labels, Gauge<f64, AtomicU64>>::default();
        for (labels, value) in values {
            family.get_or_create(&labels).set(value);
        }
        self.0.register(name, help, family);
    }

    /// Adds one number that goes up and down.
    pub fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.gauges(name, help, [(Labels::new(), value)]);
    }

    /// Adds numbers of one kind that only grow while the program runs. `_total` is added to the name.
    pub fn counters(&mut self, name: &str, help: &str, values: impl IntoIterator<Item = (Labels, u64)>) {
        let family = Family::<Labels, Counter>::default();
        for (labels, value) in values {
            family.get_or_create(&labels).inc_by(value);
        }
        self.0.register(name, help, family);
    }

    /// Adds one number that only grows.
    pub fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.counters(name, help, [(Labels::new(), value)]);
    }

    /// Adds what the public server has counted.
    pub fn traffic(&mut self, traffic: &Traffic) {
        let classes = |method: Method| CLASSES.map(|(status, class)| (method, status, class));
        let answers = METHODS.into_iter().flat_map(classes).map(|(method, status, class)| {
            let labels = vec![("method", word(method).to_owned()), ("status", class.to_owned())];
            (labels, traffic.answers(method, status))
        });
        self.counters("requests", "Requests of visitors that were answered", answers);
        self.counter("sent_bytes", "Bytes of the bodies that visitors were sent", traffic.bytes_sent());
        self.gauge("connections_open", "Connections of visitors that are open", number(traffic.open()));
        self.counter("connections", "Connections of visitors that were opened", traffic.connections());
        let refusals = Refused::ALL.map(|why| (vec![("why", why.word().to_owned())], traffic.refusals(why)));
        self.counters("refused", "Visitors who connected and were not served", refusals);
    }

    /// Adds how the certificate for visitors stands.
    pub fn certificate(&mut self, standing: &Standing) {
        let ends = standing.about.iter().map(|about| {
            let name = about.names.first().cloned().unwrap_or_default();
            (vec![("name", name)], moment(about.expires))
        });
        let help = "When the certificate for visitors expires, in seconds since 1970";
        self.gauges("https_certificate_expires_timestamp_seconds", help, ends);
        let help = "Whether a newer certificate should be shown and cannot be";
        self.gauge("https_certificate_trouble", help, f64::from(u8::from(standing.trouble.is_some())));
    }

    /// The text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail, and every metric writes all of itself.
        let _ = encode(&mut text, &self.0);
        text
    }
}

/// A count as it is told. Those beyond 2^53 would be told a little wrong.
#[expect(clippy::cast_precision_loss, reason = "no count comes near 2^53")]
pub fn number(count: u64) -> f64 {
    count as f64
}

/// A moment as it is told: seconds since 1970.
pub fn moment(time: Timestamp) -> f64 {
    time.as_duration().as_secs_f64()
}

fn word(method: Method) -> &'static str {
    match method {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Other => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_told() {
        let traffic = std::sync::Arc::new(Traffic::default());
        traffic.answered(Method::Get, StatusCode::OK, 12);
        traffic.refused(Refused::Slow);
        let _open = traffic.opened();
        let mut page = Exposition::default();
        page.traffic(&traffic);
        page.gauge("a", "An end", moment("2026-11-01T00:00:00.5Z".parse().unwrap()));
        let text = page.text();
        for line in [
            "tieup_requests_total{method=\"GET\",status=\"2xx\"} 1\n",
            "tieup_requests_total{method=\"other\",status=\"5xx\"} 0\n",
            "tieup_sent_bytes_total 12\n",
            "tieup_connections_open 1.0\n",
            "tieup_refused_total{why=\"slow\"} 1\n",
            "# HELP tieup_a An end.\n",
            "tieup_a 1793491200.5\n",
        ] {
            assert!(text.contains(line), "{line}in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn the_certificates_end_and_trouble_are_told() {
        let mut page = Exposition::default();
        page.certificate(&Standing { about: None, trouble: Some("it does not fit".to_owned()) });
        assert!(page.text().contains("tieup_https_certificate_trouble 1.0\n"), "{}", page.text());
    }
}
