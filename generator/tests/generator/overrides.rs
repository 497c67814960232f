//! Templates of a site's own: before those of its theme, at main and, with the framework, at the partner.

use tieup_generator::{Framework, Originals, build_originals};
use tieup_protocol::path::SourcePath;

use crate::small::{Small, html};

/// The originals in `partner/` as a partner's daemon builds them: in what came with the release.
fn originals(small: &Small) -> Originals {
    let release = small.release().unwrap();
    let framework = Framework::from_files(&release.theme, release.framework.files().clone()).unwrap();
    let originals = build_originals(&small.path("partner"), &framework, &release.output.index);
    originals.unwrap_or_else(|report| panic!("{report}"))
}

/// A partner with one original, below its mount.
fn with_partner(partnership: &str) -> Small {
    let small = Small::new();
    small
        .contract(partnership)
        .write("partner/site.yaml", "title: Shop\nbase_url: https://shop.example\n")
        .write("partner/content/local/map.md", "---\ntitle: Map\n---\n");
    small
}

#[test]
fn a_sites_template_stands_before_the_themes_and_may_extend_it() {
    let small = Small::new();
    small
        .page("about.md", "Us")
        .write(
            "site/templates/page.html",
            "{% extends \"plain/page.html\" %}{% block main %}ours {{ super() }}{% endblock main %}",
        )
        .write("site/templates/404.html", "none");
    let output = small.main().unwrap();
    assert_eq!(html(&output, "/about/"), "<nav>home</nav>ours <h1>A page</h1><p>Us</p>\n");
    assert_eq!(html(&output, "/404.html"), "none");
    assert_eq!(output.files["/404.html"].source, small.path("site/templates/404.html").display().to_string());
    assert_eq!(html(&output, "/"), "<nav>home</nav><h1>Home</h1>", "no other template is touched");
    small.write("site/templates/base.html", "{% block main %}{% endblock main %} of {{ site.title }}");
    assert_eq!(html(&small.main().unwrap(), "/"), "<h1>Home</h1> of Main", "the theme's pages extend the site's base");
}

#[test]
fn a_mistake_in_a_sites_template_is_shown_in_its_file() {
    let small = Small::new();
    small.write(
        "site/templates/page.html",
        "{% extends \"base.html\" %}\n{% block main %}{{ pgae.title }}{% endblock main %}",
    );
    let shown = small.page("about.md", "").main().unwrap_err();
    assert!(shown.contains("--> site/templates/page.html:2:") && shown.contains("did you mean `page`?"), "{shown}");
    small.write("site/templates/page.html", "{% extends \"pain/page.html\" %}");
    let shown = small.main().unwrap_err();
    assert!(
        shown.contains("extends `pain/page.html`") && shown.contains("--> site/templates/page.html:1:13"),
        "{shown}"
    );
    small.write("site/templates/page.html", "x").write("site/templates/wide.html", "x");
    let shown = small.write("site/content/about.md", "---\ntitle: A\ntemplate: wid.html\n---\n").main().unwrap_err();
    assert!(shown.contains("help: did you mean `wide.html`?"), "{shown}");
}

#[test]
fn originals_are_rendered_with_the_main_sites_templates() {
    for partnership in ["inherited", "framework"] {
        let small = with_partner(partnership);
        small.write("site/templates/base.html", "<main>{% block main %}{% endblock main %}</main>");
        let files = small.release().unwrap().framework;
        let names: Vec<&str> = files.files().keys().map(SourcePath::as_str).collect();
        assert!(names.contains(&"plain/site/templates/base.html"), "{names:?}");
        assert_eq!(html(&originals(&small).output, "/local/map/"), "<main><h1>Map</h1></main>", "{partnership}");
    }
}

#[test]
fn a_partners_template_stands_before_all_others_on_its_originals_alone() {
    let small = with_partner("inherited");
    small
        .page("about.md", "")
        .write(
            "site/templates/page.html",
            "{% extends \"plain/page.html\" %}{% block main %}site {{ super() }}{% endblock main %}",
        )
        .write(
            "partner/templates/page.html",
            "{% extends \"site/page.html\" %}{% block main %}shop {{ super() }}{% endblock main %}",
        );
    assert_eq!(html(&originals(&small).output, "/local/map/"), "<nav>home</nav>shop site <h1>Map</h1>");
    assert_eq!(html(&small.release().unwrap().output, "/about/"), "<nav>home</nav>site <h1>A page</h1>");
}

#[test]
fn a_partners_theme_keeps_its_own_templates_over_the_sites() {
    let small = with_partner("framework");
    let contract = std::fs::read_to_string(small.path("site/partners/shop/contract.yaml")).unwrap();
    small
        .write("site/partners/shop/contract.yaml", format!("{contract}theme: child\n"))
        .write("themes/child/theme.yaml", "name: child\napi: 1\nextends: plain\n")
        .write("themes/child/templates/base.html", "child {% block main %}{% endblock main %}")
        .write("site/templates/base.html", "site {% block main %}{% endblock main %}")
        .write("site/templates/page.html", "{% extends \"base.html\" %}{% block main %}site's page{% endblock main %}");
    assert_eq!(html(&originals(&small).output, "/local/map/"), "child site's page");
    small.write("themes/child/theme.yaml", "name: child\napi: 1\nslots: [nav]\n");
    for name in ["index", "section", "page", "404"] {
        small.write(&format!("themes/child/templates/{name}.html"), "alone");
    }
    assert_eq!(
        html(&originals(&small).output, "/local/map/"),
        "alone",
        "another theme does not take the site's templates"
    );
}
