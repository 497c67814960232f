//! What a partner's folder begins with, whichever side writes it: `syncd init`, or main's kit for the partner.

/// A daemon's configuration, `syncd.yaml`.
pub const CONFIGURATION: &str = "\
site: .                      # your own site: site.yaml, content/, static/, data/, slots/
state: .syncd                # what the daemon keeps; nobody else writes there
public: 127.0.0.1:8080       # where visitors are served
# https:                     # by HTTPS: docs/deploying.md; `agree` is to the terms of the authority, Let's Encrypt
#   {listen: 0.0.0.0:443, acme: {hosts: [shop.example], contact: me@shop.example, agree: true}}
# admin: 127.0.0.1:9180      # for machines that watch over the daemon: /readyz, /metrics
peer: 127.0.0.1:7450         # where the main site calls; 0.0.0.0:7450 for one on another machine, and `address` then
# originals: ask             # your own changed pages wait for your word, too; without it they go live as you save
# address: shop.example:7450 # how the main site reaches `peer`; write it where `peer` listens at every address
# dial: main                 # instead of `peer`, where the main site cannot reach this machine: it is dialed then
console: 127.0.0.1:7460      # where you decide in a browser of this machine: `syncd console` gives you a link
preview: 127.0.0.1:7470      # where your site is shown as the release that waits would make it
# mains:                     # further main sites, whose pages stand beside the first one's; each asks for a port of its own
#   southern: {peer: 127.0.0.1:7453}
# prompts:                   # how you are told that a release waits; try it: `syncd prompt --test`
#   mail: {to: [shop@example.com], from: shop@example.com, server: smtp.example.com:587, user: shop, password: mail.secret}
#   webhook: {url: https://hooks.example.com/tieup, secret: webhook.secret}
#   command: [espeak-ng, --stdin]
";

/// The address that a new site has until its own is written.
const SAMPLE_ADDRESS: &str = "https://www.example.com/";

/// What is to be said where `address`, a site's `base_url`, is still that of the sample.
pub fn told_of_sample(address: &str) -> Option<String> {
    let is_sample = address.trim_end_matches('/') == SAMPLE_ADDRESS.trim_end_matches('/');
    is_sample.then(|| {
        format!(
            "`base_url` in site.yaml is still {SAMPLE_ADDRESS}, which sitemap and feeds name: put in your own address"
        )
    })
}

/// A partner's `site.yaml`. Its pages go below `content/`, in the paths that the contract gives to the partner.
pub fn site(title: &str) -> String {
    format!("title: {title}\nbase_url: {SAMPLE_ADDRESS}\nlanguage: en\n")
}
