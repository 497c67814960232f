#!/usr/bin/env python3
"""Counts a period and computes its fee by docs/fees.md alone, with none of Tieup's code and the standard library only.

    python3 statement.py < cases > answers
    python3 statement.py --contract CONTRACT --first DAY --last DAY --robot-rules N [--entries FILE] [--books FILE]

Each line of the input is a case, and each line of the output its answer; both are JSON, as section 11 of docs/fees.md says.
In the second form the case comes from files: a contract (in JSON, or in YAML where PyYAML is installed), the NDJSON of
`syncd log export`, and the other keys of a case. Numbers in brackets below are those of the rules in docs/fees.md.
"""

import argparse
import json
import sys
from datetime import date, datetime, timedelta, timezone
from fractions import Fraction
from math import ceil, floor
from zoneinfo import ZoneInfo

DISORDER = timedelta(minutes=10)
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
DECIMALS = {**dict.fromkeys(["CLP", "JPY", "KRW", "VND"], 0), **dict.fromkeys(["BHD", "KWD", "TND"], 3)}
BOTH = ("tieup", "original", "both")


def span(text):
    return timedelta(seconds=int(text[:-1]) * SECONDS[text[-1]])


def percent(text):
    return Fraction(text.removesuffix("%")) / 100


def midnight(day, zone):
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(timezone.utc)


class Totals:
    """Counts of one class of pages, or of both."""

    def __init__(self):
        self.views = self.unique_views = self.bytes = self.sessions = self.visitors = 0


class Counter:
    """Section 2: the rule set page-view/1."""

    def __init__(self, case):
        contract = case["contract"]
        self.zone = ZoneInfo(contract["effective"]["tz"])
        self.start = midnight(date.fromisoformat(case["first"]), self.zone)
        self.end = midnight(date.fromisoformat(case["last"]) + timedelta(days=1), self.zone)
        self.window = span(contract["count"]["double_click"])
        self.robots = case["robot_rules"]
        self.totals = {scope: Totals() for scope in BOTH}
        self.pages, self.chains = {}, {}
        self.hours, self.days = {}, {}

    def count(self, entries, struck):
        for number, entry in enumerate(entries):
            time = datetime.fromisoformat(entry["time"])
            if number not in struck and self.is_click(entry, time):
                self.click(entry, time)
        self.end_chains(None)
        return {scope: vars(totals) for scope, totals in self.totals.items()}, self.by_page()

    def is_click(self, entry, time):
        """[2.1]"""
        return (
            self.start <= time < self.end
            and entry["class"] is not None
            and not 1 <= entry["robot"] <= self.robots
            and entry["purpose"] == "document"
            and entry["method"] == "GET"
            and entry["status"] in (200, 304)
        )

    def page(self, path):
        """The place of a page in the order of first clicks, and its counts."""
        if path not in self.pages:
            self.pages[path] = (len(self.pages), {"tieup": Totals(), "original": Totals()})
        return self.pages[path]

    def by_page(self):
        return {path: {name: vars(of) for name, of in counts.items()} for path, (_, counts) in self.pages.items()}

    def click(self, entry, time):
        kind, path, visitor = entry["class"], entry["path"], entry["visitor"]
        self.end_chains(time - self.window - DISORDER)
        place, counts = self.page(path)
        for of in (self.totals[kind], self.totals["both"], counts[kind]):
            of.bytes += entry["bytes"]  # [2.7]
        key, now = (visitor, place, path), (time, kind == "original")
        if key not in self.chains:
            self.chains[key] = now
            return
        chain = self.chains[key]
        if abs(time - chain[0]) <= self.window:  # [2.2]
            self.chains[key] = max(chain, now)
        elif time < chain[0]:
            self.view(key, now)
        else:
            self.chains[key] = now
            self.view(key, chain)

    def end_chains(self, before):
        """[2.3], and all of them at the end [2.4]"""
        ended = [(chain[0], key) for key, chain in self.chains.items() if before is None or chain[0] < before]
        for _, key in sorted(ended):
            self.view(key, self.chains.pop(key))

    def view(self, key, chain):
        visitor, _, path = key
        time, is_original = chain
        kind = "original" if is_original else "tieup"
        local = time.astimezone(self.zone)
        day = local.date().toordinal()
        hour = day * 24 + local.hour
        for remembered, first in ((self.hours, hour - 1), (self.days, day - 1)):
            for old in [number for number in remembered if number < first]:
                del remembered[old]
        seen = self.hours.setdefault(hour, (set(), set()))
        unique = (visitor, path, kind) not in seen[0]
        seen[0].add((visitor, path, kind))
        today, yesterday = self.days.setdefault(day, set()), self.days.get(day - 1, set())
        for of in (self.totals[kind], self.totals["both"], self.page(path)[1][kind]):
            of.views += 1
            of.unique_views += unique
        for scope in (kind, "both"):
            who = (visitor, scope)
            self.totals[scope].sessions += who not in seen[1]  # [2.5]
            self.totals[scope].visitors += who not in today and who not in yesterday  # [2.6]
            seen[1].add(who)
            today.add(who)


class Fee:
    """Sections 3 to 7."""

    def __init__(self, case):
        self.case, self.contract = case, case["contract"]
        self.money = self.contract["money"]
        self.unit = 10 ** DECIMALS.get(self.money["currency"], 2)
        self.meters, self.events = self.contract["meters"], case.get("events", [])
        self.part = self.part_of_month()
        if "counts" in case:
            self.counts = {scope: case["counts"][scope] for scope in BOTH}
            self.pages = case["counts"]["pages"]
        else:
            self.counts, self.pages = Counter(case).count(case["entries"], set(case.get("struck", [])))
        self.lines = []

    def part_of_month(self):
        """[1.5]"""
        if self.money.get("prorate", "none") == "none":
            return Fraction(1)
        first, last = (date.fromisoformat(self.case[key]) for key in ("first", "last"))
        next_month = (first.replace(day=28) + timedelta(days=4)).replace(day=1)
        return Fraction((last - first).days + 1, (next_month - first.replace(day=1)).days)

    # Section 3.

    def sales(self, of):
        return [
            event
            for event in self.events
            if event["kind"] == of["event"]
            and of.get("goods") in (None, event["goods"])
            and of.get("via") in (None, event["via"])
        ]

    def visits(self, quantity, of):
        scope = of["class"]
        paths = [path.removesuffix("**").rstrip("/") for path in of.get("paths", [])]
        if not paths:
            return self.counts[scope][quantity]
        kinds = ("tieup", "original") if scope == "both" else (scope,)
        return sum(
            counts[kind][quantity]
            for page, counts in self.pages.items()
            for kind in kinds
            if any(page == path or page.startswith(path + "/") for path in paths)
        )

    def reads(self, name):
        """What a meter reads; None where a ratio has no value."""
        meter = self.meters[name]
        if "ratio" in meter:
            above, below = (self.reads(part) for part in meter["ratio"])
            if below == 0:
                return Fraction(0) if meter.get("if_zero", "none") == "zero" else None
            return above / below
        kind, of = next(iter(meter.items()))
        if kind in ("views", "unique_views", "bytes", "sessions", "visitors"):
            return Fraction(self.visits(kind, of))
        if kind in ("events", "units", "amount"):
            each = {"events": lambda _: 1, "units": lambda e: e["units"], "amount": lambda e: self.major(e["amount"])}
            return Fraction(sum(each[kind](event) for event in self.sales(of)))
        catalogue = self.case["catalogue"]
        if kind == "offered":
            return Fraction(catalogue["offered"].get(of["goods"], 0))
        if kind == "ads":
            owners = ("main", "partner") if of["owner"] == "both" else (of["owner"],)
            return Fraction(sum(catalogue["ads"][owner] for owner in owners))
        extent = {"pages": "pages", "content_bytes": "bytes"}[kind]
        kinds = ("tieup", "original") if of["class"] == "both" else (of["class"],)
        return Fraction(sum(catalogue[one][extent] for one in kinds))

    def threshold(self, name, written):
        kinds = ("views", "unique_views", "bytes", "sessions", "visitors", "events", "units", "amount")
        grows = any(kind in self.meters[name] for kind in kinds)
        return Fraction(written) * (self.part if grows else 1)

    def steps(self, name, tiers):
        return [(self.threshold(name, written), holds) for written, holds in tiers]

    def band(self, name, tiers):
        """What holds for what the meter reads; None where that is nothing."""
        value = self.reads(name)
        if value is None:
            return None
        return [holds for start, holds in self.steps(name, tiers) if start <= value][-1]

    def major(self, minor):
        return Fraction(minor, self.unit)

    # Section 4.

    def charge(self, charge):
        if "by" in charge:
            return Fraction(charge[self.contract["partnership"]]) * self.part
        if "services" in charge:
            rendered = [charge["services"][name] for name in self.contract.get("services", []) if name in charge["services"]]
            return sum((Fraction(price) for price in rendered), Fraction(0)) * self.part
        if "graduated" in charge:
            return self.graduated(charge)
        if "volume" in charge:
            return self.volume(charge)
        if "flat" in charge:
            return Fraction(self.band(charge["flat"], charge["tiers"])) * self.part
        if "package" in charge:
            return ceil(self.reads(charge["package"]) / Fraction(charge["size"])) * Fraction(charge["price"])
        return self.per_event(charge)

    def graduated(self, charge):
        name, total = charge["graduated"], Fraction(0)
        units, steps = self.reads(name), self.steps(name, charge["tiers"])
        for (start, price), (end, _) in zip(steps, steps[1:] + [(units, None)]):
            total += max(min(units, end) - start, 0) * Fraction(price)
        return total

    def volume(self, charge):
        name = charge["volume"]
        units, steps = self.reads(name), self.steps(name, charge["tiers"])
        reached = max([at for at, (start, _) in enumerate(steps) if start < units], default=0)
        full = [steps[at + 1][0] * Fraction(steps[at][1]) for at in range(reached)]
        return max([units * Fraction(steps[reached][1])] + full)

    def per_event(self, charge):
        of = {"event": charge["per_event"], "goods": charge.get("goods"), "via": charge.get("via")}
        rate = percent(charge["rate"] if "rate" in charge else self.band(charge["rate_by"], charge["rates"]))
        least, most = Fraction(charge["min"]), Fraction(charge["max"])
        fees = [min(max(rate * self.major(event["amount"]), least), most) for event in self.sales(of)]
        return sum(fees, Fraction(0))

    # Sections 5 to 7.

    def round(self, exact):
        minor = exact * self.unit
        how, sign, size = self.money["round"], (-1 if minor < 0 else 1), abs(minor)
        if how == "down":
            return sign * floor(size)
        if how == "up":
            return sign * ceil(size)
        if how == "half_up":
            return sign * floor(size + Fraction(1, 2))
        return sign * round(size)  # Python rounds halves of fractions to the even neighbour

    def add(self, name, exact):
        rounded = self.round(exact) if self.money["at"] == "line" else None
        self.lines.append((name, exact, rounded))

    def sum(self):
        return sum((exact if minor is None else self.major(minor) for _, exact, minor in self.lines), Fraction(0))

    def discounts(self, charges):
        """[5.1] The percentages on each charge, together."""
        off = dict.fromkeys(charges, Fraction(0))
        for adjustment in (one for one in self.adjust() if "id" in one):
            held = self.band(adjustment["bands"], adjustment["off"])
            when = adjustment.get("when")
            if when is not None:
                value = self.reads(when["meter"])
                if value is None or value < self.threshold(when["meter"], when["from"]):
                    held = None
            share = Fraction(0) if held is None else percent(held)
            for name in adjustment["on"]:
                off[name] += share
            self.add(adjustment["id"], -sum((charges[name] * share for name in adjustment["on"]), Fraction(0)))
        return off

    def adjust(self):
        return self.contract.get("adjust", [])

    def written(self, key):
        return next((one[key] for one in self.adjust() if key in one), None)

    def limits(self, charges, off):
        """[5.2] to [5.4]"""
        written = self.written("cap_discount")
        cap = percent(written or "100%")
        back = sum((of * max(off[name] - cap, 0) for name, of in charges.items()), Fraction(0))
        if written is not None or any(share > cap for share in off.values()):
            self.add("cap", back)
        if (written := self.written("maximum")) is not None:
            self.add("maximum", -max(self.sum() - Fraction(written) * self.part, Fraction(0)))
        written = self.written("minimum")
        short = max(Fraction(written or 0) * self.part - self.sum(), Fraction(0))
        if written is not None or short > 0:
            self.add("minimum", short)

    def due(self, total):
        corrections = sum(one["owed"] - one["charged"] for one in self.case.get("corrections", []))
        advance = sum(one["amount"] for one in self.case.get("payments", []))
        collected = sum(event["collected"] or 0 for event in self.events)
        return total + corrections - advance - collected

    def answer(self):
        charges = {name: self.charge(charge) for name, charge in sorted(self.contract["charges"].items())}
        for name, exact in charges.items():
            self.add(name, exact)
        self.limits(charges, self.discounts(charges))
        total = self.round(self.sum())
        lines = [
            {"id": name, "exact": f"{exact.numerator}/{exact.denominator}", "rounded": rounded}
            for name, exact, rounded in self.lines
        ]
        return {"counts": self.counts, "lines": lines, "total": total, "due": self.due(total)}


def contract_in(path):
    """The contract in a file. JSON needs nothing; YAML is read where PyYAML is installed."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        import yaml

        # As texts alone: PyYAML would take the keys `on` and `off` for true and false.
        return yaml.load(text, Loader=yaml.BaseLoader)


def case_of_files():
    """The case that the arguments name; None where there are no arguments."""
    if len(sys.argv) == 1:
        return None
    parser = argparse.ArgumentParser(description="Counts a period and computes its fee by docs/fees.md alone.")
    parser.add_argument("--contract", required=True, help="the contract, in JSON, or in YAML with PyYAML")
    parser.add_argument("--first", required=True, help="the first day of the period")
    parser.add_argument("--last", required=True, help="the last day of the period")
    parser.add_argument("--robot-rules", required=True, type=int, help="how many rules the pinned list has")
    parser.add_argument("--entries", help="the entries, as NDJSON")
    parser.add_argument("--books", help="the other keys of a case, in JSON")
    given = parser.parse_args()
    case = {}
    if given.books:
        with open(given.books, encoding="utf-8") as file:
            case = json.load(file)
    case["contract"] = contract_in(given.contract)
    if given.entries:
        with open(given.entries, encoding="utf-8") as file:
            case["entries"] = [json.loads(line) for line in file]
    return case | {"first": given.first, "last": given.last, "robot_rules": given.robot_rules}


def main():
    case = case_of_files()
    cases = map(json.loads, sys.stdin) if case is None else [case]
    for case in cases:
        print(json.dumps(Fee(case).answer()))


if __name__ == "__main__":
    main()
