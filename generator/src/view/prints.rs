//! Fingerprints of what templates get of a view: equal fingerprints mean that they get the same.
//!
//! Each function here stands beside one in [`super::values`] and covers everything that it reads.

use std::sync::PoisonError;

use jiff::civil::Date;

use super::View;
use crate::discovery;
use crate::page::Page;
use crate::print::{Print, Printer};
use crate::uses::{Field, Fields, Uses};

impl View {
    /// Of those fields of a page's summary that a template can look at.
    pub(crate) fn print_summary(&self, at: usize, fields: Fields) -> Print {
        let mut printer = Printer::default();
        self.add_summary(at, fields, &mut printer);
        printer.finish()
    }

    fn add_summary(&self, at: usize, fields: Fields, printer: &mut Printer) {
        let node = &self.nodes[at];
        let entry = node.entry();
        printer.text(&entry.title).text(entry.path.as_str()).text(&entry.lang);
        if fields.has(Field::Description) {
            printer.option(entry.description.as_deref());
        }
        for (field, date) in [(Field::Date, entry.date), (Field::Updated, entry.updated)] {
            if fields.has(field) {
                printer.number(date.map_or(0, number));
            }
        }
        if fields.has(Field::Weight) {
            printer.number(entry.weight.cast_unsigned());
        }
        if fields.has(Field::Extra) {
            printer.value(&entry.extra);
        }
        if fields.has(Field::Data) {
            printer.value(&entry.data);
        }
        if let Some(page) = node.own() {
            self.add_own(page, fields, printer);
        }
    }

    fn add_own(&self, page: &Page, fields: Fields, printer: &mut Printer) {
        if fields.has(Field::WordCount) {
            printer.number(page.text.facts.length.words());
        }
        if fields.has(Field::Summary) {
            printer.value(&page.text.facts.summary);
        }
        if fields.has(Field::Taxonomies) {
            self.add_terms(page, printer);
        }
    }

    fn add_terms(&self, page: &Page, printer: &mut Printer) {
        for group in self.groups.iter().filter(|group| group.lang == page.entry.lang) {
            let names = page.terms.get(&self.config.taxonomies[group.taxonomy].name).map_or(&[][..], Vec::as_slice);
            printer.number(names.len());
            for name in names {
                // A term's path follows from the name; with the count, this is all that its value holds.
                let count = group.by_name.get(name).and_then(|(_, value)| value.get_from_path("count"));
                printer.text(name).number(count.and_then(tera::Value::as_i128).unwrap_or_default());
            }
        }
    }

    /// Of everything that a page's own template can look at.
    pub(crate) fn print_page(&self, at: usize, uses: &Uses) -> Print {
        let mut printer = Printer::default();
        self.add_summary(at, uses.fields(), &mut printer);
        if let Some(page) = self.nodes[at].own() {
            printer.print(page.text.facts.print).text(&page.source.file);
        }
        printer.option(self.parents[at].map(|parent| self.entry(parent).path.as_str()));
        if uses.field("prev") || uses.field("next") {
            for neighbour in self.neighbours[at] {
                self.add_step(neighbour, &mut printer);
            }
        }
        if uses.field("ancestors") {
            self.add_steps(&self.ancestors(at), &mut printer);
        }
        let translations: Vec<usize> = self.translated(at).collect();
        self.add_steps(&translations, &mut printer);
        for other in translations {
            printer.text(&self.entry(other).lang);
        }
        printer.number(u8::from(discovery::is_hidden(self, at)));
        printer.finish()
    }

    fn add_steps(&self, steps: &[usize], printer: &mut Printer) {
        printer.number(steps.len());
        for step in steps {
            self.add_step(Some(*step), printer);
        }
    }

    fn add_step(&self, at: Option<usize>, printer: &mut Printer) {
        match at {
            Some(at) => printer.number(1u8).text(&self.entry(at).title).text(self.entry(at).path.as_str()),
            None => printer.number(0u8),
        };
    }

    /// Of what a listing shows, its order included.
    pub(crate) fn print_listing(&self, at: usize, fields: Fields) -> Print {
        let Some(listing) = self.listing(at) else { return Print::default() };
        let known = |prints: &[(Fields, Print)]| prints.iter().find(|(of, _)| *of == fields).map(|(_, print)| *print);
        let lock = || listing.prints.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(print) = known(&lock()) {
            return print;
        }
        let mut printer = Printer::default();
        for list in [&listing.pages, &listing.subsections] {
            printer.number(list.len());
            for page in list {
                self.add_summary(*page, fields, &mut printer);
            }
        }
        let print = printer.finish();
        lock().push((fields, print));
        print
    }

    /// Of one page of a listing that is cut into pages.
    pub(crate) fn print_paginator(&self, at: usize, number: usize, fields: Fields) -> Print {
        let Some(pager) = self.pager(at) else { return Print::default() };
        let mut printer = Printer::default();
        printer.number(pager.total()).number(number);
        for page in pager.shown(number) {
            self.add_summary(*page, fields, &mut printer);
        }
        printer.finish()
    }

    /// Of a list of terms: their names and how many pages each has.
    pub(crate) fn print_taxonomy(&self, at: usize) -> Print {
        let Some(group) = self.groups.iter().find(|group| group.list == at) else { return Print::default() };
        let mut printer = Printer::default();
        for term in group.terms.clone() {
            printer.text(&self.entry(term).title).text(self.entry(term).path.as_str());
            printer.number(self.listing(term).map_or(0, |listing| listing.pages.len()));
        }
        printer.finish()
    }

    /// Of the menus of a language.
    pub(crate) fn print_menus(&self, lang: &str) -> Print {
        Printer::default().value(&self.menus(lang)).finish()
    }

    /// Of what a feed of node `at` holds.
    pub(crate) fn print_feed(&self, at: usize, limit: usize) -> Print {
        let mut printer = Printer::default();
        self.add_summary(at, Fields::ALL, &mut printer);
        for page in self.newest(at, limit) {
            self.add_summary(page, Fields::ALL, &mut printer);
            if let Some(page) = self.nodes[page].own() {
                printer.print(page.text.facts.print);
            }
        }
        printer.finish()
    }
}

/// A number for a day, from 1.
fn number(date: Date) -> u64 {
    let [year, month, day] = [date.year(), date.month().into(), date.day().into()].map(i64::from);
    ((year + 10_000) * 10_000 + month * 100 + day).cast_unsigned()
}
