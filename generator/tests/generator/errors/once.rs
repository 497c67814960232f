//! All at once: a site with mistakes in ten files is told of all of them in one run, and of nothing that only follows.

use super::report;
use crate::small::Small;

#[test]
fn ten_files() {
    let small = Small::new();
    small
        .write("site/data/bad.json", "{\"a\": }")
        .write("site/content/a.fr.md", "---\ntitle: A\n---\n")
        .write("site/content/b.md", "no front matter\n")
        .write("site/content/c.md", b"---\ntitle: C\xff\n---\n")
        .write("site/content/d.md", "---\ntitle: D\ndate: soon\nslug: dee\n---\n")
        .write("site/content/photo.jpg", "x")
        .page(
            "e.md",
            "A [link](/nowhere/), and [others](/b/) to [pages](d.md) that [were](/dee/) not [read](c.md#x).\n",
        )
        .page("f.md", "A ![picture](/none.png) and ![](/style.css).\n")
        .write("site/content/g.md", "---\ntitle: G\ntemplate: gg.html\n---\n")
        .write("themes/plain/templates/section.html", "{{ 1 | yne }}")
        .write("site/partners/shop/contract.yaml", "contract: main/shop\n");
    insta::assert_snapshot!(report(&small).unwrap());
}
