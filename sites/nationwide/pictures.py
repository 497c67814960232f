#!/usr/bin/env python3
"""Draws every product, every kind and the front page into static/pictures/.

Reads data/products.yaml for the ids, kinds and order, and nothing else; the
same data gives the same bytes. Run it from anywhere: python3 pictures.py
"""

import math
import re
from pathlib import Path

HERE = Path(__file__).resolve().parent
OUT = HERE / "static" / "pictures"

# A ground of its own for each kind; products of one kind take turns.
GROUNDS = {
    "kitchen": ["#f3d9a4", "#dfe6d3", "#f0cbb2", "#d9e5e2", "#f2e3c6"],
    "table": ["#cfe0e6", "#e9e0cf", "#d8e4d4", "#f1d7c4", "#dfe3ee"],
    "cleaning": ["#d5e6cf", "#f3e6bd", "#dce7e4", "#efd9cb", "#d3e2ea"],
    "bath": ["#cfe6e4", "#efe2d2", "#dbe6cd", "#d5e0ee", "#f0d9c8"],
    "textiles": ["#f1dcc6", "#dfe6d6", "#d4dfe8", "#f4e4cd", "#e2d8e6"],
    "outdoor": ["#d2e0cf", "#dbe3e8", "#2f4a55", "#f0dfbf", "#cddfe5"],
    "desk": ["#f0e0c4", "#d7e3df", "#f2d3bd", "#dfe0ea", "#e9e6d2"],
    "storage": ["#dce5d8", "#f1e0c2", "#d6e2e8", "#f3d6c4", "#e4e2d2"],
}

WOOD, WOOD_DARK, WOOD_PALE = "#d9ab6c", "#b98548", "#eccd9c"
STEEL, STEEL_DARK, STEEL_PALE = "#b9c4c7", "#8b999e", "#dfe6e7"
IRON, IRON_DARK, IRON_PALE = "#3b4449", "#272e32", "#5c676d"
INDIGO, RED, PINE, OCHRE = "#27457a", "#b5402c", "#0f5c49", "#e5a72f"


def n(value):
    return f"{value:.1f}".rstrip("0").rstrip(".")


def attributes(extra):
    return "".join(f' {key.replace("_", "-")}="{value}"' for key, value in extra.items())


def rect(x, y, w, h, fill, r=0, **extra):
    rounded = f' rx="{n(r)}"' if r else ""
    return f'<rect x="{n(x)}" y="{n(y)}" width="{n(w)}" height="{n(h)}"{rounded} fill="{fill}"{attributes(extra)}/>'


def circle(x, y, r, fill, **extra):
    return f'<circle cx="{n(x)}" cy="{n(y)}" r="{n(r)}" fill="{fill}"{attributes(extra)}/>'


def oval(x, y, rx, ry, fill, **extra):
    return f'<ellipse cx="{n(x)}" cy="{n(y)}" rx="{n(rx)}" ry="{n(ry)}" fill="{fill}"{attributes(extra)}/>'


def path(d, fill="none", **extra):
    return f'<path d="{d}" fill="{fill}"{attributes(extra)}/>'


def line(d, stroke, width, cap="round", **extra):
    return path(d, stroke=stroke, stroke_width=n(width), stroke_linecap=cap, stroke_linejoin="round", **extra)


def dots(spots, colour, width):
    """Round spots as one path: strokes without length, with round ends."""
    return line("".join(f"M{n(x)} {n(y)}h0" for x, y in spots), colour, width)


def turned(angle, *parts, at=(200, 200)):
    return f'<g transform="rotate({n(angle)} {n(at[0])} {n(at[1])})">{"".join(parts)}</g>'


def shadow(x=200, y=318, rx=110, ry=14):
    return oval(x, y, rx, ry, "#000", opacity="0.1")


# Kitchen

def enamel_milk_pan():
    return [shadow(190), rect(268, 172, 96, 20, WOOD, 10), rect(268, 182, 96, 10, WOOD_DARK, 5),
            path("M92 165h196l-10 128q-2 22-26 22H128q-24 0-26-22z", "#fbfdfc"),
            path("M240 165h48l-10 128q-2 22-26 22h-30q16 0 17-24z", "#dde7e6"),
            path("M92 165l-14-16h224l-14 16z", "#fff"),
            line("M78 149h224", PINE, 8), oval(150, 232, 12, 34, "#fff", opacity="0.9")]


def iron_frying_pan():
    beaten = [circle(170 + 78 * math.cos(a * 2.4) * math.sqrt(a / 34), 214 + 78 * math.sin(a * 2.4) * math.sqrt(a / 34), 5, IRON_PALE, opacity="0.5")
            for a in range(2, 34)]
    return [circle(176, 222, 112, "#000", opacity="0.1"),
            turned(-38, rect(262, 201, 128, 26, IRON_DARK, 10), circle(374, 214, 6, "#dfe6d3"), at=(170, 214)),
            circle(170, 214, 112, IRON_DARK), circle(170, 214, 101, IRON), *beaten,
            path("M140 178c30-14 70-2 78 26 6 26-18 36-34 46-24 14-62 10-68-18-4-20 2-44 24-54z", "#fffdf6"),
            circle(172, 214, 25, "#f4b321"), oval(164, 206, 8, 5, "#fbd671")]


def clay_rice_pot():
    return [shadow(200, 316, 128), path("M78 206h244q6 76-52 104H130q-58-28-52-104z", "#4a4642"),
            path("M232 206h90q6 76-52 104h-52q44-34 14-104z", "#3a3633"),
            rect(54, 208, 40, 26, "#3a3633", 12), rect(306, 208, 40, 26, "#3a3633", 12),
            path("M84 204q12-70 116-70t116 70z", "#57524d"), path("M236 139q70 14 80 65h-62q6-40-18-65z", "#48433f"),
            rect(66, 200, 268, 16, "#2e2b29", 8), rect(172, 112, 56, 28, "#2e2b29", 13), circle(252, 168, 6, "#2b2826"),
            line("M104 262h192", "#8a7f73", 3), line("M252 120q-10-16 2-30t0-30", "#fff", 6, opacity="0.7"),
            line("M280 132q-8-12 2-24t0-24", "#fff", 5, opacity="0.55")]


def cypress_board():
    grain = [line(f"M{126 + i * 26} 96q{-8 + 5 * i} 110 0 214", "#dcb57c", 3) for i in range(6)]
    return [turned(14, rect(108, 78, 196, 258, "#000", 18, opacity="0.1"), rect(98, 70, 196, 258, WOOD_PALE, 18), *grain,
                   circle(268, 98, 11, "#d9e5e2"),
                   path("M130 250q30-60 64-30t66-34", stroke="#7ca35a", stroke_width=0),
                   circle(150, 252, 20, "#78a65b"), circle(150, 252, 13, "#c8dfa4"), circle(190, 266, 20, "#78a65b"),
                   circle(190, 266, 13, "#c8dfa4"), circle(228, 252, 20, "#78a65b"), circle(228, 252, 13, "#c8dfa4"))]


def santoku_knife():
    return [turned(-32, path("M36 214h216v-46H96q-46 8-60 46z", "#000", opacity="0.1", transform="translate(8 14)"),
                   path("M36 214h216v-46H96q-46 8-60 46z", STEEL_PALE), path("M36 214h216v-14q-90-16-150-6t-66 20z", "#f5f8f8"),
                   path("M96 168h156v8H84z", STEEL_DARK), rect(252, 170, 14, 34, "#2a2320", 3),
                   rect(264, 168, 116, 38, "#e3c491", 12), rect(264, 190, 116, 16, "#cda66a", 8),
                   line("M218 186v12M226 184v14M234 186v12", STEEL_DARK, 3))]


# Table

def soba_cup():
    return [shadow(200, 316, 84), path("M116 128h168l-20 178q-2 10-12 10H148q-10 0-12-10z", "#fdfefe"),
            path("M232 128h52l-20 178q-2 10-12 10h-28q8 0 9-10z", "#e3eaee"), oval(200, 128, 84, 20, "#eef3f5"),
            oval(200, 132, 72, 15, "#5d4331"), line("M120 168q82 26 160 0", INDIGO, 9), line("M124 188q80 25 152 0", INDIGO, 4),
            line("M134 288q66 18 132 0", INDIGO, 4)]


def sencha_teapot():
    clay, dark, pale = "#b4532f", "#8f3d20", "#cb6f48"
    return [shadow(196, 312, 110), rect(262, 186, 112, 24, dark, 12, transform="rotate(-14 262 198)"),
            path("M96 222q-44-4-52-44l22-6q8 24 42 26z", dark),
            path("M86 232q0-62 104-62t104 62q0 78-60 82h-88q-60-4-60-82z", clay),
            path("M236 178q58 14 58 54 0 78-60 82h-36q66-26 38-136z", dark, opacity="0.55"),
            oval(190, 180, 70, 16, dark), path("M122 176q10-32 68-32t68 32z", pale), circle(190, 134, 16, clay),
            oval(138, 234, 14, 26, pale, opacity="0.7")]


def lacquer_soup_bowl():
    return [shadow(200, 318, 80), path("M158 296h84l8 22H150z", "#4d120f"), path("M84 178h232q-4 124-88 126h-56q-84-2-88-126z", "#8f1d18"),
            path("M250 178h66q-4 124-88 126h-20q56-30 42-126z", "#6f1512"), oval(200, 178, 116, 30, "#3a0d0b"),
            oval(200, 182, 102, 23, "#c58a45"), rect(160, 170, 24, 18, "#fff7e4", 3), rect(212, 176, 24, 18, "#fff7e4", 3),
            circle(192, 194, 6, "#5f8f3e"), circle(244, 172, 5, "#5f8f3e"), circle(204, 168, 5, "#5f8f3e"),
            line("M104 220q10 40 34 58", "#c04a40", 7, opacity="0.8")]


def octagonal_chopsticks():
    def stick(x, colour, edge, y):
        return (path(f"M{x} {y}h14l-4 {300 - y + 40}h-6z", colour) + path(f"M{x + 8} {y}h6l-4 {300 - y + 40}h-3z", edge)
                + rect(x, y, 14, 26, OCHRE))
    return [turned(28, rect(128, 238, 150, 20, "#000", 10, opacity="0.08"), stick(150, "#222527", "#43494c", 44), stick(178, "#222527", "#43494c", 40),
                   stick(222, "#b23427", "#d25b4a", 60), stick(250, "#b23427", "#d25b4a", 64),
                   rect(132, 232, 152, 22, "#f7f5ee", 11), rect(132, 244, 152, 10, "#d9d5c6", 5), circle(156, 242, 4, INDIGO), circle(208, 242, 4, INDIGO),
                   circle(260, 242, 4, INDIGO))]


def thin_tumbler():
    bubbles = [circle(160 + (i * 37) % 84, 180 + (i * 53) % 116, 3 + i % 3, "#fff", opacity="0.7") for i in range(12)]
    return [shadow(200, 322, 70), path("M124 82h152l-16 230q-1 8-10 8H150q-9 0-10-8z", "#fff", opacity="0.55"),
            path("M130 150h140l-11 158q-1 6-8 6H149q-7 0-8-6z", "#eab13a"), *bubbles,
            path("M127 118h146l-3 44q-18 14-36 2t-36 4-36-4-32-2z", "#fffaf0"), line("M124 82h152", "#fff", 5),
            line("M146 112l12 186", "#fff", 8, opacity="0.6")]


# Cleaning

def palm_scrubber():
    out = []
    for i in range(44):
        a = i / 44 * math.tau
        out.append(f"M{n(200 + 80 * math.cos(a))} {n(222 + 44 * math.sin(a))}L{n(200 + (116 + i % 3 * 7) * math.cos(a))} {n(222 + (72 + i % 4 * 5) * math.sin(a))}")
    return [shadow(200, 308, 120), line("".join(out), "#6d4526", 9), oval(200, 222, 104, 62, "#7f5230"),
            line("M120 208q80 40 160 0M116 232q84 40 168 0M140 184q60 26 120 0M150 258q50 18 100 0", "#a5744a", 5),
            line("M200 166q-34-44 0-66 36 22 0 66", STEEL_DARK, 6), rect(186, 160, 28, 16, STEEL, 4)]


def straw_pot_brush():
    straws = "".join(f"M{n(164 + i * 6.5)} 176L{n(118 + i * 14.4)} {318 - (i * 7) % 9}" for i in range(12))
    return [shadow(200, 322, 100), path("M166 80h68l2 96h-72z", "#d8b45a"), path("M160 172h80l40 148H116z", "#e3c36d"),
            line(straws, "#c39a3e", 4), line("M180 84v84M200 82v86M220 84v84", "#c39a3e", 4),
            *[rect(160, y, 80, 8, "#7a2f2a", 4) for y in (104, 120, 136, 164, 178)], line("M200 80q-26-36 0-52 26 16 0 52", "#7a2f2a", 6)]


def long_broom():
    straw = "".join(f"M200 214L{n(112 + i * 16)} {n(326 - abs(i - 5.5) * 3.4)}" for i in range(12))
    return [shadow(200, 336, 112, 10), line("M200 30v176", "#c8a25c", 13), line("M204 30v176", "#a87f3c", 4),
            line("M194 74h12M194 120h12M194 164h12", "#8a6630", 3), path("M176 196h48l78 122q-102 32-204 0z", "#b7b266"),
            line(straw, "#98944c", 4), path("M176 196h48l16 26h-80z", "#8f8b46"), line("M162 220q38 12 76 0M150 240q50 16 100 0M138 260q62 20 124 0", RED, 6),
            circle(200, 40, 3, "#6f5224")]


def tin_dustpan():
    return [shadow(204, 314, 130), path("M182 66h36v92h-36z", "#a9b7b4"), circle(200, 88, 9, "#dce7e4"),
            path("M108 158q92-30 184 0l34 148q-126 22-252 0z", "#d3dcdb"), path("M108 158q92-30 184 0l6 26q-98-28-196 0z", "#aebbb9"),
            path("M102 184q98-28 196 0l28 122-18 3-30-108q-78-20-156 0L92 309l-18-3z", "#bfcbca"),
            line("M76 306q124 22 248 0", PINE, 8), line("M150 208l-12 76M200 204v82M250 208l12 76", "#bfcbca", 4)]


def laundry_soap():
    def bar(x, y, fill, side):
        return path(f"M{x} {y}l130-20 26 28-130 22z", fill) + path(f"M{x} {y}l26 30v44l-26-28z", side) + path(f"M{x + 26} {y + 30}l130-22v42l-130 24z", fill, opacity="0.82")
    bubbles = [circle(x, y, r, "#fff", opacity="0.7") for x, y, r in ((92, 132, 22), (128, 100, 12), (300, 130, 16), (322, 164, 9), (78, 178, 9))]
    return [shadow(206, 322, 124), bar(126, 250, "#f0dc8e", "#cfb455"), bar(104, 206, "#f5e6a8", "#d7bf66"), bar(132, 158, "#f9efc3", "#dfcb7f"),
            turned(-9, '<text x="222" y="226" font-family="sans-serif" font-size="22" font-weight="700" fill="#9b7f2a" text-anchor="middle">石鹸</text>', at=(222, 220)), *bubbles]


# Bath

def bath_towel():
    return [shadow(200, 330, 130), rect(84, 250, 232, 72, "#4a9c94", 30), rect(84, 250, 232, 36, "#5cb0a7", 18), rect(92, 188, 216, 68, "#f4f8f6", 28),
            rect(92, 188, 216, 34, "#fff", 17), rect(100, 128, 200, 66, "#2f7f78", 27), rect(100, 128, 200, 34, "#3b9089", 17),
            line("M116 286h168", "#3b877f", 5), line("M124 222h152", "#d7e3df", 5), line("M130 162h140", "#23665f", 5), line("M270 132v56M258 130v60", "#cfe6e4", 4)]


def hemp_body_cloth():
    weave = "".join(f"M112 {y}h176" for y in range(86, 300, 14)) + "".join(f"M{x} 76v226" for x in range(124, 288, 14))
    return [turned(7, rect(120, 84, 176, 236, "#000", 6, opacity="0.08"), rect(112, 74, 176, 236, "#f5ecd8", 4), line(weave, "#e0d1b0", 3),
                   rect(112, 96, 176, 12, "#c8663f"), rect(112, 114, 176, 4, "#c8663f"), rect(112, 270, 176, 12, "#c8663f"),
                   line("".join(f"M{x} 310v14" for x in range(116, 288, 9)), "#e0d1b0", 4)),
            circle(104, 290, 26, "#fff", opacity="0.8"), circle(140, 316, 16, "#fff", opacity="0.7"), circle(86, 252, 12, "#fff", opacity="0.7")]


def cypress_stool():
    return [shadow(200, 322, 130), path("M108 186h42v132h-50z", "#d3a468"), path("M250 186h42l8 132h-50z", "#c08f52"), rect(140, 240, 120, 30, "#b98548", 4),
            path("M84 148h232l14 32H70z", "#f3d8a8"), rect(70, 180, 260, 26, "#e0b67b", 4), line("M104 158h160M92 170h190", "#e0b67b", 3),
            rect(116, 184, 14, 18, "#c08f52", 2), rect(270, 184, 14, 18, "#b07f45", 2), line("M118 220v80", "#bf8e50", 3)]


def wash_bucket():
    staves = "".join(f"M{n(102 + i * 21.8)} 170L{n(120 + i * 17.8)} 308" for i in range(1, 9))
    return [shadow(200, 322, 100), path("M102 168h196l-18 146q-80 16-160 0z", "#e2ba80"), path("M246 168h52l-18 146q-30 6-58 8 30-60 24-154z", "#cfa163"),
            line(staves, "#bd8c4f", 3), oval(200, 168, 98, 24, "#f2d9ae"), oval(200, 172, 84, 17, "#a9772f", opacity="0.6"), oval(200, 176, 76, 13, "#9fd0da"),
            line("M107 208q93 26 186 0", "#b86b3a", 9), line("M116 282q84 24 168 0", "#b86b3a", 9), line("M108 205q93 26 184 0", "#dd9560", 3)]


def boxwood_comb():
    teeth = "".join(f"M{n(88 + i * 9)} 210V{n(282 - abs(i - 12.5) ** 1.7 / 2.2)}" for i in range(26))
    return [turned(-14, path("M72 214q0-96 128-96t128 96z", "#000", opacity="0.1", transform="translate(6 16)"), line(teeth, "#d9a54b", 5, cap="butt"),
                   path("M72 216q0-98 128-98t128 98z", "#e4b65d"), path("M72 216q0-98 128-98 60 0 94 26-110-14-180 72z", "#f0cb80"),
                   circle(176, 168, 15, "#c4462f"), circle(176, 168, 5, OCHRE), path("M196 178q20-20 42-8-14 20-42 8z", "#5d8440"))]


# Textiles

def indigo_tenugui():
    return [turned(-8, rect(106, 84, 196, 236, "#000", 3, opacity="0.1"), rect(98, 74, 200, 236, INDIGO), line("M136 116h132", "#f5f8fb", 3), dots([(136 + i * 22, 116) for i in range(7)], "#f5f8fb", 14),
                   path("M98 210q50-24 100 0t100 0v100H98z", "#f1f4f5"), path("M98 240q50-24 100 0t100 0v22q-50 24-100 0t-100 0z", "#8fa7c9"),
                   rect(268, 74, 30, 236, "#000", opacity="0.08"), line("".join(f"M{x} 310v9" for x in range(100, 298, 8)), "#cdd6df", 3))]


def linen_apron():
    rust, dark = "#b85a38", "#954428"
    return [line("M150 96q50-66 100 0", dark, 9), path("M146 92h108l14 84q40 16 52 30v118H80V206q12-14 52-30z", rust),
            path("M240 92h14l14 84q40 16 52 30v118h-50q20-120-30-232z", dark, opacity="0.5"), rect(196, 214, 88, 74, "#c97353", 4), line("M196 230h88", dark, 3, stroke_dasharray="6 5"),
            line("M80 210q-22 30-34 84M320 210q22 30 34 84", dark, 8), line("M146 104h108", dark, 3, stroke_dasharray="6 5"), circle(152, 98, 5, OCHRE), circle(248, 98, 5, OCHRE)]


def wool_blanket():
    fringe = "".join(f"M{x} 306v18" for x in range(96, 308, 9))
    return [shadow(202, 330, 130), line(fringe, "#d9cdb4", 5), rect(88, 206, 228, 104, "#ede3cc", 10), rect(88, 150, 228, 72, "#f4ecd9", 24), rect(88, 96, 228, 70, "#fbf5e7", 26),
            *[rect(x, 96, w, 214, PINE, opacity="0.85") for x, w in ((124, 26), (158, 8))],
            *[rect(x, 96, w, 214, "#c8663f", opacity="0.85") for x, w in ((262, 8), (276, 16))],
            line("M92 166h220M92 222h220", "#c9bb9c", 4)]


def gauze_quilt():
    out = [shadow(200, 330, 128)]
    for i, fill in enumerate(("#8fb4c9", "#a7c6d6", "#bcd5e1", "#d0e2ea", "#e6f0f4")):
        y = 282 - i * 34
        out.append(path(f"M{84 + i * 4} {y}q116 {-14 if i % 2 else 10} {232 - i * 8} 0v34q-{116 - i * 4} 14-{232 - i * 8} 0z", fill))
    out += [line("M104 142q96 -14 192 0", "#fff", 4), *[circle(122 + i * 26, 160 + (i % 2) * 7, 4, "#8fb4c9") for i in range(7)]]
    return out


def furoshiki_wrap():
    plum, dark, must = "#6d3358", "#512541", "#dda73a"
    return [shadow(200, 322, 118), path("M92 236q0-66 108-66t108 66q0 84-108 84T92 236z", plum), path("M240 174q68 14 68 62 0 84-108 84 76-40 40-146z", dark),
            path("M196 176q-70-10-100-88 66 4 104 70z", plum), path("M204 176q70-10 100-88-66 4-104 70z", must), path("M196 176q-30-6-54-32 30-2 54 14z", dark),
            rect(174, 148, 52, 44, must, 14), rect(200, 148, 26, 44, "#bf8a22", 12), line("M120 240q30-34 58-46M280 246q-24-40-54-50M150 292q40-30 48-96", dark, 4, opacity="0.7")]


# Open air

def folding_firebox():
    flames = [path("M142 196q-16-50 22-88 2 26 18 34 2-44 34-66-6 40 22 62 10-12 8-30 30 42 10 88z", "#e8762d"), path("M162 198q-6-34 20-58 6 20 18 24 6-22 18-32 0 26 16 40 4 14-2 26z", "#f7c04a")]
    return [shadow(200, 330, 120), *flames, rect(120, 190, 160, 12, "#5a3b24", 6), rect(136, 180, 128, 12, "#7a5232", 6),
            path("M88 196h224l-34 100H122z", STEEL), path("M230 196h82l-34 100h-52z", STEEL_DARK), path("M88 196h224l-4 12H92z", STEEL_PALE),
            *[rect(142 + i * 28, 232, 12, 38, IRON_DARK, 6) for i in range(5)], line("M134 294l-18 34M266 294l18 34M200 296v32", STEEL_DARK, 8)]


def titanium_mug():
    return [shadow(188, 318, 96), line("M268 176h52v96h-52", "#6d777c", 10), line("M268 192h36v64h-36", "#8d979b", 5), rect(96, 132, 180, 184, "#9aa5a9", 12),
            rect(212, 132, 64, 184, "#7f8b90", 12), oval(186, 134, 90, 18, "#c6ced0"), oval(186, 137, 78, 13, "#4b555a"),
            rect(114, 160, 14, 130, "#c6ced0", 7), line("M150 220h44M150 236h44M150 252h28", "#6d777c", 4),
            line("M170 104q-12-14 2-28t0-28M206 108q-10-12 2-24t0-24", "#fff", 6, opacity="0.8")]


def camp_lantern():
    yellow, dark = "#f0b62f", "#c98a14"
    return [circle(200, 200, 150, "#f8d98a", opacity="0.12"), circle(200, 200, 104, "#f8d98a", opacity="0.16"), shadow(200, 336, 92),
            line("M130 300V130q0-84 70-84t70 84v170", dark, 9), path("M158 150h84q22 54-6 116h-72q-28-62-6-116z", "#fff3cd", opacity="0.9"),
            path("M200 180q28 38 10 66h-20q-18-24 10-66z", "#ee8a2d"), path("M201 208q14 20 5 36h-12q-8-14 7-36z", "#fff2b8"),
            rect(150, 120, 100, 30, yellow, 8), path("M166 120l10-34h48l10 34z", dark), rect(146, 264, 108, 22, dark, 6), path("M120 286h160l14 44H106z", yellow), path("M236 286h44l14 44h-50z", dark),
            circle(140, 308, 9, dark)]


def canvas_tote():
    ecru, navy = "#f4ead2", "#25365c"
    return [shadow(200, 328, 122), line("M140 156q0-96 60-96t60 96", navy, 13), path("M84 142h232l14 180q-130 10-260 0z", ecru), path("M262 142h54l14 180q-30 3-56 4 6-92-12-184z", "#e0d3b3"),
            path("M76 262q124 12 248 0l6 60q-130 10-260 0z", navy), line("M140 142v118M260 142v118", navy, 13, cap="butt"), line("M86 158h228", "#cdbf9c", 3, stroke_dasharray="7 5"),
            '<text x="200" y="226" font-family="sans-serif" font-size="52" font-weight="800" fill="#25365c" text-anchor="middle">6</text>']


def sixteen_rib_umbrella():
    ribs = "".join(f"M200 78Q{n(200 + (x - 200) * 0.62)} 106 {x} {y}" for x, y in ((72, 192), (116, 196), (158, 199), (200, 200), (242, 199), (284, 196), (328, 192)))
    return [shadow(232, 346, 64, 8), line("M200 60v250q0 34 32 34t30-30", WOOD_DARK, 11), path("M40 188Q56 78 200 78t160 110q-20-16-40-2-22-14-40 4-20-14-40 4-20-12-40 4-20-16-40-4-20-18-40-4-18-18-40-4-20-14-40 2z", "#1f4b87"),
            path("M200 78q160 0 160 110-20-16-40-2-22-14-40 4-10-80-80-112z", "#173a6b"), line(ribs, "#5f86bd", 3), line("M200 56v24", STEEL, 8),
            *[line(f"M{x} {y}l-6 18", "#7fb0c9", 5) for x, y in ((66, 70), (108, 40), (300, 44), (340, 84), (36, 126))]]


# Desk

def bound_notebook():
    return [turned(-10, rect(112, 76, 200, 264, "#000", 6, opacity="0.1"), rect(106, 72, 200, 258, "#fbf8ee", 5), rect(98, 66, 200, 258, "#2c6048", 6), rect(98, 66, 34, 258, "#1f4735", 6),
                   line("".join(f"M98 {y}h16" for y in range(92, 310, 24)), "#e9dfc2", 4), rect(164, 108, 104, 58, "#f5eed9", 3), line("M178 128h76M178 144h50", "#7b8d7f", 4),
                   path("M260 324v36l10-10 10 10v-36z", RED))]


def brass_pen():
    return [turned(38, rect(70, 206, 276, 22, "#000", 8, opacity="0.1"), rect(60, 186, 226, 34, "#d8a93d", 3), rect(60, 186, 226, 11, "#efcb72"), rect(60, 209, 226, 11, "#b58523"), path("M286 186l54 12v10l-54 12z", "#c4952f"),
                   rect(338, 200, 14, 6, "#58676b", 3), rect(40, 192, 22, 22, "#b58523", 4), rect(84, 176, 92, 9, "#b58523", 4), rect(84, 176, 12, 16, "#b58523", 3), line("M262 188v30M270 188v30", "#8f6818", 3)),
            line("M60 330q40-34 72-8t62-10", INDIGO, 5)]


def iron_tape_dispenser():
    return [shadow(200, 314, 132), path("M70 300q0-30 34-36l20-92q58-80 128-8l54 66h26v70q0 10-10 10H82q-12 0-12-10z", IRON), path("M70 300q0-18 14-28h248v28q0 10-10 10H82q-12 0-12-10z", IRON_DARK),
            circle(190, 196, 62, "#f4ead0"), circle(190, 196, 46, "#e3d3a8"), circle(190, 196, 30, "#c8663f"), circle(190, 196, 11, "#f2d3bd"), path("M240 160l88 66-6 8-96-46z", "#f4ead0"),
            path("M318 222l20-10v28z", STEEL_PALE), line("M92 290h140", IRON_PALE, 4)]


def paper_scissors():
    return [turned(18, line("M176 232q-44 20-44 62t38 36 34-62l-6-26", "#c23c2b", 17), line("M224 232q44 20 44 62t-38 36-34-62l6-26", "#a93022", 17),
                   path("M176 238q6-100 56-188 10 90-20 186z", STEEL), path("M224 238q-6-100-56-188-10 90 20 186z", STEEL_PALE), path("M168 50q18 60 22 130l-8 20q-22-80-14-150z", "#fff", opacity="0.6"),
                   circle(200, 214, 11, STEEL_DARK), circle(200, 214, 4, IRON))]


def desk_lamp():
    sage, dark = "#8aa68d", "#6b8a70"
    return [path("M96 172L40 330h214L186 150z", "#f8e6a4", opacity="0.55"), shadow(262, 330, 78), rect(196, 308, 132, 20, dark, 10), line("M262 308L300 196 196 104", "#56705b", 10), circle(300, 196, 12, OCHRE), circle(196, 106, 10, OCHRE),
            path("M168 76q34-14 52 20l-24 40-92 40q-20-6-16-24 20-54 80-76z", sage), path("M220 96l-24 40-92 40q-12-4-16-14 90-20 132-66z", dark), oval(140, 160, 22, 14, "#fff3c4", transform="rotate(-24 140 160)")]


# Storage

def steel_toolbox():
    red, dark = "#b8452f", "#90321f"
    return [shadow(200, 318, 138), line("M146 148v-34h108v34", "#5d2418", 12), path("M78 148h244l14 40H64z", "#cf5b42"), rect(64, 188, 272, 124, red, 10), rect(64, 188, 272, 22, dark),
            rect(64, 280, 272, 32, dark, 10), rect(180, 180, 40, 50, STEEL, 6), rect(190, 206, 20, 14, STEEL_DARK, 3), rect(88, 226, 66, 34, "#f4e8d8", 3), line("M100 238h42M100 248h26", dark, 4)]


def bamboo_basket():
    out = [shadow(200, 322, 130), path("M78 166h244l-24 150H102z", "#a8743a")]
    for row in range(6):
        for col in range(11):
            x, y = 92 + col * 21 + (row % 2) * 9 - row * 0.2, 180 + row * 22
            if x + 14 < 312 - row * 4 and x > 84 + row * 4:
                out.append(rect(x, y, 15, 12, "#d29c55" if (row + col) % 2 else "#bd8743", 2))
    return out + [rect(68, 152, 264, 22, "#8a5a28", 11), line("M82 163h236", "#c99450", 4, stroke_dasharray="12 9"), line("M128 154q0-52 24-52M272 154q0-52-24-52", "#8a5a28", 10),
                  path("M150 152q10-54 54-46t48 46z", "#f1ece0"), line("M176 150q4-22 22-30M216 120q18 10 20 30", "#cfc6b2", 5)]


def paulownia_rice_box():
    grain = "".join(f"M104 {y}q90 {6 + i * 3} 176 0" for i, y in enumerate((190, 214, 240, 266, 290)))
    return [shadow(200, 326, 120), rect(92, 158, 204, 164, "#eed9b3", 4), rect(258, 158, 46, 164, "#d8bd8d", 4), line(grain, "#dfc594", 3), path("M84 124h204l28 34H100z", "#f6e8cb"), path("M84 124h116l22 34H100z", "#fdfaf2"),
            path("M200 124h88l28 34h-94z", "#e6cd9f"), rect(96, 156, 222, 12, "#cfb07b", 3), '<text x="178" y="254" font-family="sans-serif" font-size="54" font-weight="700" fill="#8a6a35" text-anchor="middle">米</text>',
            *[oval(120 + i * 15, 134 + (i % 3) * 6, 5, 3, "#e4dcc8") for i in range(5)], rect(268, 130, 26, 8, "#b99355", 4)]


def glass_storage_jar():
    spots = [(150 + (i % 4) * 34 + (i // 4 % 2) * 8, 290 - (i // 4) * 32, i % 3) for i in range(12)]
    plums = [dots([(x, y) for x, y, third in spots if third], "#c9503f", 38), dots([(x, y) for x, y, third in spots if not third], "#b13c30", 38)]
    return [shadow(200, 326, 92), rect(112, 132, 176, 190, "#fff", 26, opacity="0.6"), *plums, rect(112, 132, 176, 190, "#cfe3ea", 26, opacity="0.3"), rect(128, 160, 14, 130, "#fff", 7, opacity="0.75"),
            rect(126, 116, 148, 20, "#c23c2b", 6), path("M122 116q6-44 78-44t78 44z", "#eaf3f5"), path("M150 108q10-24 44-26", stroke="#fff", stroke_width=6, stroke_linecap="round"),
            line("M112 150h-10v-44h22M288 150h12v-50h-24M300 126v40", STEEL_DARK, 6)]


def apple_crate():
    apples = [circle(112 + i * 44, 172 - (i % 2) * 10, 29, ("#c33a2c", "#d65a3b", "#a92f26", "#7fa546")[i % 4]) for i in range(5)]
    leaves = [path(f"M{112 + i * 44} {146 - (i % 2) * 10}q14-20 26-8-8 14-26 8z", "#5d8440") for i in range(5)]
    boards = [rect(64, y, 272, 36, fill, 3) for y, fill in ((186, "#e5bf86"), (230, "#d9ae70"), (274, "#e5bf86"))]
    return [shadow(200, 322, 146), *apples, *leaves, *boards, rect(64, 180, 22, 136, "#bf8f4f", 3), rect(314, 180, 22, 136, "#bf8f4f", 3), rect(162, 234, 76, 28, "#7a4d20", 14),
            dots([(x, y) for x in (75, 325) for y in (204, 248, 292)], "#7a4d20", 6), line("M104 198h90M250 286h50M108 290h60", "#cf9f5e", 3)]


def svg(parts, ground, width=400, height=400):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
            f'<rect width="{width}" height="{height}" fill="{ground}"/>{"".join(parts)}</svg>\n')


def shelf(y, x, w):
    return rect(x, y, w, 14, "#c9995b") + rect(x, y + 14, w, 8, "#a87a3f")


def placed(parts, x, y, scale):
    return f'<g transform="translate({n(x)} {n(y)}) scale({scale})">{"".join(parts)}</g>'


def hero():
    """A kitchen window over a harbour and a mountain, with the catalogue's things about it."""
    window = [rect(70, 70, 470, 390, "#f7fbf8", 12), rect(86, 86, 438, 358, "#bfe0e4"), circle(420, 168, 46, "#f2b53c"),
              path("M86 352L214 214l52 54 40-38 120 122z", "#6d9fa6"), path("M214 214l-44 48 22 8 20-12 22 16 30-8z", "#f7fbf8"), path("M86 372q110-44 220-16t218-18v106H86z", "#7fae84"),
              path("M86 408q120-30 230-6t208-14v56H86z", "#4f8a68"), line("M86 396h438", "#2f5f4c", 4), rect(130, 374, 54, 22, "#f2b53c", 5), *[rect(190 + i * 60, 374, 54, 22, "#f7fbf8", 5) for i in range(4)],
              line("M138 383h278", "#2f5f4c", 8, cap="butt", stroke_dasharray="38 22"), rect(299, 86, 12, 358, "#f7fbf8"), rect(50, 444, 510, 24, "#f7fbf8", 4)]
    return [*window, shelf(220, 620, 290), shelf(400, 620, 290),
            placed(camp_lantern()[3:], 616, 58, 0.51), placed(glass_storage_jar()[1:], 738, 57, 0.505),
            placed(clay_rice_pot()[1:8], 604, 242, 0.51), placed(soba_cup()[1:], 766, 274, 0.4),
            rect(0, 600, 960, 120, "#d9ab6c"), rect(0, 600, 960, 16, "#ecc78f"), rect(0, 616, 960, 10, "#c4924f"),
            placed(sencha_teapot()[1:], 70, 368, 0.76), placed(lacquer_soup_bowl()[1:], 328, 388, 0.69), placed(apple_crate()[1:], 614, 396, 0.71)]


def catalogue():
    text = (HERE / "data" / "products.yaml").read_text(encoding="utf-8")
    return re.findall(r"^- id: (\S+)\n(?:  .*\n)*?  kind: (\S+)$", text, re.M)


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    seen = {}
    for identity, kind in catalogue():
        place = seen.get(kind, 0)
        seen[kind] = place + 1
        ground = GROUNDS[kind][place % len(GROUNDS[kind])]
        drawing = globals()[identity.replace("-", "_")]()
        (OUT / f"{identity}.svg").write_text(svg(drawing, ground), encoding="utf-8")
    (OUT / "hero.svg").write_text(svg(hero(), "#dcebe3", 960, 720), encoding="utf-8")


if __name__ == "__main__":
    main()
