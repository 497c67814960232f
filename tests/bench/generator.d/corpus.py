"""The corpus of the generator's bench: made-up pages, the same text for every tool, and a Hugo site around them.

`write(site, pages, tool)` writes `content/` below the folder `site`; for `hugo` also a configuration and a theme that
make the same pages as the theme beside this file. Equal arguments make equal bytes.
"""
import datetime
import pathlib
import random

SECTIONS = [f"section-{number:02}" for number in range(20)]
TAGS = [f"tag-{number:03}" for number in range(200)]
SYLLABLES = "ba che do fin gra hel jor ka lum mi nes ot pra quen ris sol tu ver wim yo zan est".split()
RUST = """```rust
use std::collections::BTreeMap;

/// Adds the {a} of each `{b}`.
pub fn {a}_{n}(lines: &[&str], most: usize) -> Option<BTreeMap<String, u64>> {{
    let mut sums: BTreeMap<String, u64> = BTreeMap::new();
    for (at, line) in lines.iter().enumerate() {{
        if at > most || *line == "{c}" {{ return None; }} // enough
        *sums.entry(line.trim().to_owned()).or_default() += {m};
    }}
    Some(sums)
}}
```"""


class Text:
    """Made-up prose with the markup that real pages have."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.words = ["".join(self.random.choices(SYLLABLES, k=self.random.randint(1, 4))) for _ in range(2500)]

    def some(self, count):
        return self.random.choices(self.words, k=count)

    def marked(self, word):
        draw = self.random.random()
        if draw < 0.25:
            return f"*{word}*"
        if draw < 0.50:
            return f"**{word}**"
        if draw < 0.70:
            return f"`{word}`"
        if draw < 0.92:
            return f"[{word}](/{self.random.choice(SECTIONS)}/)"
        return f"[{word}](https://example.org/{word})"

    def sentence(self):
        words = self.some(self.random.randint(6, 16))
        if self.random.random() < 0.6:
            at = self.random.randrange(len(words))
            words[at] = self.marked(words[at])
        return " ".join(words).capitalize() + "."

    def paragraph(self, sentences):
        return " ".join(self.sentence() for _ in range(sentences))

    def heading(self, level, words):
        return "#" * level + " " + " ".join(self.some(words)).title()

    def body(self, number):
        a, b, c = self.some(3)
        row = lambda: f"| {self.some(1)[0]} | {self.random.randint(1, 9999)} | {' '.join(self.some(4))} |"
        parts = [
            self.paragraph(4),
            self.heading(2, 3),
            self.paragraph(4),
            "\n".join("- " + self.sentence() for _ in range(4)),
            self.heading(3, 2),
            self.paragraph(4),
            RUST.format(a=a, b=b, c=c, n=number, m=number % 97),
            self.heading(2, 3),
            "| Name | Value | Note |\n| --- | ---: | :--- |\n" + "\n".join(row() for _ in range(5)),
            "> " + self.sentence(),
            "\n".join(f"{item}. {' '.join(self.some(5))}" for item in (1, 2, 3)),
            self.heading(3, 2),
            self.paragraph(5),
        ]
        return "\n\n".join(parts) + "\n"


def write(site, pages, tool):
    """Writes the corpus of `pages` pages for `tool`, `tieup` or `hugo`, into the folder `site`."""
    site, text = pathlib.Path(site), Text(7)
    order = "sort_by: date\npaginate_by: 20\n" if tool == "tieup" else ""
    put(site / "content/_index.md", "---\ntitle: Home\n---\n")
    for section in SECTIONS:
        put(site / f"content/{section}/_index.md", f"---\ntitle: {section.title()}\n{order}---\n")
    for number in range(pages):
        tags = ", ".join(text.random.sample(TAGS, 3))
        body = text.body(number)
        title = f"Page {number} {' '.join(text.some(3))}"
        date = datetime.date(2015, 1, 1) + datetime.timedelta(days=number % 3650)
        terms = f"taxonomies:\n  tags: [{tags}]\n" if tool == "tieup" else f"tags: [{tags}]\n"
        front = f'---\ntitle: "{title}"\ndate: {date}\n{terms}---\n'
        put(site / f"content/{SECTIONS[number % 20]}/page-{number:05}.md", front + body)
    if tool == "hugo":
        for name, content in hugo_files().items():
            put(site / name, content)


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def hugo_files():
    """Hugo's configuration and layouts, by path."""
    here = pathlib.Path(__file__).parent
    nav = ", ".join(f'{{name="{section.title().replace("-", " ")}", url="/{section}/"}}' for section in SECTIONS)
    files = {path.name: path.read_text() for path in (here / "hugo").iterdir()}
    config = files.pop("hugo.toml").replace("NAV", nav)
    listing = files.pop("listing.html")
    layouts = {f"layouts/{name}": content for name, content in files.items()}
    layouts["layouts/section.html"] = listing.replace("PAGES", ".RegularPages.ByDate.Reverse")
    layouts["layouts/term.html"] = listing.replace("PAGES", ".Pages.ByDate.Reverse")
    style = (here / "themes/bench/static/style.css").read_text()
    return {"hugo.toml": config, "static/style.css": style, **layouts}
